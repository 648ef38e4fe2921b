"""Compare a scan with the CAD part or a golden scan: deviations in mm, findings, a 3-D report."""

from __future__ import annotations

from typing import Any

import click

from triscope.cli._exits import DONE, FAILED
from triscope.cli._options import json_flag
from triscope.cli._output import emit, note, people, show_table
from triscope.cli._shape._shared import FOLDER, comparing, comparing_options, output, unit

KEYS = {
    "compared": "folder with deviation.ply, deviation.csv, findings.json, report.html",
    "tolerance_mm": "tolerance of the findings",
    "findings": "list of findings: label, score, measures in mm",
    "points": "points of the scan on the part",
    "left_out": "points far from the reference",
    "covered": "share of the reference that was seen",
    "mean": "mean deviation",
    "spread": "standard deviation of single points",
    "p02": "2 % of the points lie below",
    "p98": "2 % of the points lie above",
    "aligned_rms": "root mean square after alignment",
}


def compare(**options: Any) -> int:
    """Compare, write, show."""
    from triscope.shape import stages

    settings = comparing(options)
    found = stages.compare(
        options["scan"],
        options["reference"],
        options["output"],
        settings,
        unit=options["unit"] or "",
        reference_unit=options["reference_unit"] or "",
    )
    for problem in found.problems:
        note(problem)
    if options["as_json"]:
        emit(
            {
                "compared": options["output"],
                "tolerance_mm": settings.tolerance,
                "findings": found.findings,
                **found.summary(),
            },
            KEYS,
        )
    else:
        show(found, options)
    return FAILED if found.findings else DONE


def show(found: Any, options: dict[str, Any]) -> None:
    """The findings for people."""
    from triscope.shape.reporting import found_in_words

    people().print(f"[bold]{options['output']}[/]: {found_in_words(found)}")
    if found.findings:
        names = ("deviation_mm", "area_mm2", "x_mm", "y_mm", "z_mm")
        rows = [
            (f.label, *(f"{f.measures[name]:.3f}" for name in names)) for f in found.findings[:20]
        ]
        titles = ("what", "deviation mm", "area mm²", "x", "y", "z")
        show_table("", titles, rows, right=range(1, 6))
    people().print(f"Look: {options['output'] / 'report.html'}", style="dim")


command = click.Command(
    "compare",
    callback=compare,
    params=[
        click.Argument(["scan"], type=FOLDER),
        click.Argument(["reference"], type=FOLDER),
        output("compared"),
        *comparing_options(),
        unit("scan"),
        unit("reference", "--reference-unit"),
        json_flag(),
    ],
    help="Compare SCAN (a fused folder, PLY, STL or OBJ) with REFERENCE (STL, PLY or OBJ).",
    no_args_is_help=True,
)
