"""Inspect captures with a check: verdicts, findings, report, overlays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triscope.cli._exits import DONE, FAILED
from triscope.cli._options import add, explain, option, workers
from triscope.cli._output import emit, json_option
from triscope.cli._progress import progress

SECTION = "Checks"
KEYS = {
    "check": "model and version that answered: patchcore@1",
    "captures": "how many could be inspected",
    "pass": "how many passed",
    "review": "how many need a look",
    "fail": "how many failed",
    "skipped": "list of {source, error}: inputs that could not be read",
    "inspections": "list of {source, verdict, reason, score, findings, image_size, check, seconds, "
    "details}; null with --out, which holds them",
    "report": "path of the page, or null",
    "overlays": "folder of the overlays, or null",
    "out": "path of the results, or null",
    "seconds": "wall time of the inspection",
}
SPLITS = ("train", "calibrate", "test")


@click.command("inspect")
@click.argument("check", type=click.Path(path_type=Path))
@click.argument("sources", nargs=-1, required=True)
@json_option
def command(check: Path, sources: tuple[str, ...], as_json: bool, **options: Any) -> int:
    """Inspect SOURCES with CHECK: files, folders, globs, addresses, or '-' for paths on stdin.

    Nothing but the runtime install is needed. The exit code is 1 where a capture failed or could
    not be read.
    """
    import triscope
    from triscope.cli._run import Run
    from triscope.cli._sources import captures_of

    opened = triscope.open(check)
    captures = captures_of(opened, sources, options["split"])
    run = Run(opened, options, title=options["title"] or f"{', '.join(sources)} with {check}")
    try:
        with progress() as report:
            run.go(captures, report)
    finally:
        run.write_report()
    if as_json:
        emit(run.answer(), KEYS)
    else:
        run.show()
    return FAILED if run.counts["fail"] or run.skipped else DONE


_files = click.Path(path_type=Path)
add(
    command,
    option("--report", "FILE.html", "Write one page here.", type=_files),
    option("--overlays", "FOLDER", "Write PNG overlays here.", type=_files),
    explain(),
    option("--out", "FILE", "Write results as they come: .jsonl, .csv or .parquet.", type=_files),
    option("--split", "NAME", "Only train, calibrate or test.", type=click.Choice(SPLITS)),
    option("--pictures", "N", "Most pictures in the report.", default=160),
    option("--title", "TEXT", "Title of the report."),
    workers(),
    option("--batch", "N", "Captures that go through the graph at once.", default=1),
)
