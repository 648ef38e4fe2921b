"""Check the steps of an assembly in videos against a procedure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triscope.cli._exits import DONE, FAILED
from triscope.cli._output import emit, json_option, note, show_table

SECTION = "Motion"
KEYS = {
    "check": "the check and its version",
    "procedure": "name of the procedure",
    "videos": "list of objects: source, verdict, reason, findings with span_s, details.steps",
    "skipped": "videos that could not be read: source, error",
}


@click.command("steps")
@click.argument("check", type=click.Path(path_type=Path))
@click.argument("procedure", type=click.Path(path_type=Path))
@click.argument("videos", nargs=-1, required=True)
@click.option("--plots", type=click.Path(path_type=Path), help="Folder for a timeline a video.")
@json_option
def command(
    check: Path, procedure: Path, videos: tuple[str, ...], plots: Path | None, as_json: bool
) -> int:
    """Check VIDEOS with CHECK (fitted with ms_tcn or asformer) against PROCEDURE, a TOML file.

    Told are steps that are missing, out of order, too short, too long, repeated or unknown, each
    with its span as evidence. Exit code 1 where a video fails or cannot be read.
    """
    import triscope
    from triscope.errors import DataError
    from triscope.motion.steps.procedure import read_procedure
    from triscope.motion.steps.running import check_video

    wanted, opened = read_procedure(procedure), triscope.open(check)
    done: list[Any] = []
    skipped: list[dict[str, str]] = []
    for video in videos:
        try:
            done.append(check_video(opened, video, wanted))
        except DataError as error:
            skipped.append({"source": video, "error": str(error)})
            note(f"not read: {error}")
            continue
        if plots is not None:
            _plot(done[-1], wanted.labels, plots)
    inspections = [one.inspection for one in done]
    if as_json:
        told = [i.to_dict() for i in inspections]
        emit(
            {
                "check": opened.label,
                "procedure": wanted.name,
                "videos": told,
                "skipped": skipped,
            },
            KEYS,
        )
    else:
        rows = [(i.source, i.verdict.outcome, i.verdict.reason) for i in inspections]
        show_table("", ("video", "verdict", "why"), rows, coloured=1)
    failed = skipped or any(i.verdict.outcome != "pass" for i in inspections)
    return FAILED if failed else DONE


def _plot(checked: Any, labels: tuple[str, ...], folder: Path) -> None:
    import cv2

    from triscope.motion.timeline_plot import timeline

    folder.mkdir(parents=True, exist_ok=True)
    picture = timeline([("found", checked.labels)], labels, checked.rate, checked.errors)
    name = f"{Path(checked.inspection.source).stem}.png"
    cv2.imwrite(str(folder / name), picture[:, :, ::-1])
