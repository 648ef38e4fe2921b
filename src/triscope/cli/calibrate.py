"""Choose the thresholds of a check, by promise or by cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triscope.cli._exits import DONE
from triscope.cli._options import add, mm_per_px, workers
from triscope.cli._output import emit, json_option, people, show_table
from triscope.cli._progress import progress
from triscope.cli._thresholds import threshold_options, wishes

SECTION = "Checks"
KEYS = {
    "check": "folder of the check",
    "version": "number of the version that is now in force",
    "parent": "number of the version before",
    "zones": "the thresholds: review_above, fail_above, pixel_above ..., and their basis in words",
    "promise": "how they were chosen: kind, shares, confidence, how many good parts and defects",
}


@click.command("calibrate")
@click.argument("check", type=click.Path(path_type=Path))
@click.argument("data", required=False)
@json_option
def command(check: Path, data: str | None, as_json: bool, **options: Any) -> int:
    """Choose the thresholds of CHECK from DATA: good parts that it has not met, and defects.

    Without DATA the good parts are used that were held out when the check was fitted. By promise
    ('--false-reject 0.01') or by cost ('--cost-escape 200 --cost-reject 3'). The thresholds become
    the next version of the check; the version before stays in its history.
    """
    import triscope

    opened = triscope.open(check)
    scale = options["mm_per_px"] or opened.card.mm_per_px
    more = {name: options[name] for name in ("mm_per_px", "workers")}
    with progress() as report:
        opened.calibrate(data, **wishes(options, scale), **more, progress=report)
    opened.save(check, why="calibrate")
    if as_json:
        emit(answer(opened), KEYS)
    else:
        show(opened)
    return DONE


add(command, *threshold_options(), mm_per_px(), workers())


def answer(check: Any) -> dict[str, Any]:
    """What --json prints."""
    version = check.card.version
    return {
        "check": check.folder,
        "version": version.number,
        "parent": version.parent,
        "zones": check.card.zones,
        "promise": check.card.promise,
    }


def show(check: Any) -> None:
    """The answer for people."""
    zones = check.card.zones
    rows = [
        ("review above", f"{zones.review_above:.6g}"),
        ("fail above", f"{zones.fail_above:.6g}"),
    ]
    if zones.pixel_above is not None:
        rows.append(("region above", f"{zones.pixel_above:.6g}"))
    show_table(
        f"{check.folder}, version {check.card.version.number}", ("line", "score"), rows, right=[1]
    )
    people().print(zones.basis, markup=False)
