"""Watch a camera or a video with a check of clips, and tell what happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triscope.cli._exits import DONE, FAILED
from triscope.cli._output import emit, json_option, note, people

SECTION = "Motion"
KEYS = {
    "check": "the check and its version",
    "source": "camera or video",
    "frames": "frames that were looked at",
    "passed_over": "frames that came while the check was busy",
    "events": "list of objects: event, start_s, end_s, score, delay_s, source, topic; an event "
    "'alarm' has kind, step, told, known_s, a 'verdict' has verdict, reason, errors",
    "alarms": "steps that went wrong, told while they did",
    "passed": "assemblies without an error, where a procedure was given",
    "failed": "assemblies with one",
    "gaps": "times in which the camera gave nothing",
    "gap_s": "how long that was in all",
    "frames_per_second": "what the check alone could take",
    "overlay": "the video with the answers drawn in, where asked for",
}


@click.command("watch")
@click.argument("check", type=click.Path(path_type=Path))
@click.argument("source")
@click.option("--events", type=click.Path(path_type=Path), help="Append a JSON line an event here.")
@click.option("--overlay", type=click.Path(path_type=Path), help="Write a video with the answers.")
@click.option("--topic", default="triscope/motion", show_default=True, help="Topic of the lines.")
@click.option("--smooth", default=0.5, show_default=True, help="Seconds of the running mean.")
@click.option("--enter", default=0.6, show_default=True, help="An event begins above this.")
@click.option("--leave", default=0.4, show_default=True, help="And ends below this.")
@click.option("--least", default=0.3, show_default=True, help="Seconds; shorter is not told.")
@click.option("--stride", default=4, show_default=True, help="Frames between answers of a window.")
@click.option(
    "--procedure",
    type=click.Path(path_type=Path),
    help="TOML file of steps: tell what goes wrong at once, and a verdict at the end.",
)
@click.option("--longest", default=0.0, help="Stop after so many seconds; 0: never.")
@json_option
def command(check: Path, source: str, as_json: bool, **options: Any) -> int:
    """Watch SOURCE (a file, a camera's number, rtsp://...) with CHECK and tell events as they end.

    A tsm check that was fitted with '--no-both' computes each frame once, and so does ms_tcn with
    '--causal'; any other check of clips answers a window that slides. A camera that drops out is
    opened again, and the gap is told. Exit code 1 where an assembly failed the procedure.
    """
    import triscope
    from triscope.motion.events import Rules
    from triscope.motion.steps.procedure import read_procedure
    from triscope.motion.watching import frames_of, watch

    rules = Rules(options["smooth"], options["enter"], options["leave"], options["least"])
    wanted = read_procedure(options["procedure"]) if options["procedure"] else None
    opened = triscope.open(check)
    if options["events"]:
        options["events"].open("a").close()  # what cannot be written is told before the first event
    lines: list[str] = []

    def told(item: Any) -> None:
        line = _line(item, source, options["topic"])
        if as_json:
            lines.append(line)
        if options["events"]:
            with options["events"].open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        if not as_json:
            _show(item)

    try:
        watched = watch(
            opened,
            frames_of(source),
            rules=rules,
            stride=options["stride"],
            procedure=wanted,
            overlay=options["overlay"],
            told=told,
            longest_s=options["longest"],
        )
    except KeyboardInterrupt:
        note("stopped.")
        return DONE
    answer = _answer(opened.label, source, watched, lines, options["overlay"])
    if as_json:
        emit(answer, KEYS)
    else:
        people().print(
            f"{watched.frames} frames, {watched.events} events, {watched.gaps} gaps; "
            f"the check could take {watched.rate:.0f} frames a second"
        )
    return FAILED if watched.failed else DONE


def _line(item: Any, source: str, topic: str) -> str:
    """What is told, as one JSON line."""
    from triscope.motion import events
    from triscope.motion.steps.live import Alarm, Ended

    if isinstance(item, events.Event):
        return item.line(source, topic)
    if isinstance(item, Alarm):
        return events.alarm_line(item, source, topic)
    if isinstance(item, Ended):
        return events.verdict_line(item, source, topic)
    return events.gap_line(item, source, topic)


def _show(item: Any) -> None:
    from triscope.motion.events import Event
    from triscope.motion.steps.live import Alarm, Ended

    if isinstance(item, Event):
        people().print(
            f"{item.start_s:8.2f} s to {item.end_s:8.2f} s  {item.label}  ({item.score:.2f})"
        )
    elif isinstance(item, Alarm):
        people().print(f"{item.known_s:8.2f} s  [red]{item.error.step} {item.error.told}[/]")
    elif isinstance(item, Ended):
        colour = "red" if item.errors else "green"
        people().print(
            f"{item.end_s:8.2f} s  [{colour}]{item.verdict.outcome}[/]: {item.verdict.reason}"
        )
    else:
        note(f"the camera gave nothing from {item.start_s:.1f} s to {item.end_s:.1f} s")


def _answer(
    label: str, source: str, watched: Any, lines: list[str], overlay: Path | None
) -> dict[str, Any]:
    import json

    return {
        "check": label,
        "source": source,
        "frames": watched.frames,
        "passed_over": watched.passed_over,
        "events": [json.loads(line) for line in lines],
        "alarms": watched.alarms,
        "passed": watched.passed,
        "failed": watched.failed,
        "gaps": watched.gaps,
        "gap_s": watched.gap_s,
        "frames_per_second": round(watched.rate, 1),
        "overlay": overlay,
    }
