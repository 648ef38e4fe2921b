"""Compare a scan with the CAD part or a golden scan: deviations in mm, findings, a 3-D report."""

from __future__ import annotations

from typing import Any

import click

from triscope.cli._exits import DONE, FAILED
from triscope.cli._options import json_flag, option
from triscope.cli._output import emit, note, people, show_table
from triscope.cli._shape._shared import FOLDER, comparing, comparing_options, marked, output, unit

KEYS = {
    "compared": "folder with deviation.ply, deviation.csv, findings.json, report.html",
    "tolerance_mm": "tolerance of the findings",
    "findings": "list of findings: label, score, measures in mm",
    "problems": "what one should know of the reference and the alignment",
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
        markers=_pairs(options),
    )
    for problem in found.problems:
        note(problem)
    if options["as_json"]:
        emit(
            {
                "compared": options["output"],
                "tolerance_mm": settings.tolerance,
                "findings": found.findings,
                "problems": found.problems,
                **found.summary(),
            },
            KEYS,
        )
    else:
        show(found, options)
    return FAILED if found.findings else DONE


def _pairs(options: dict[str, Any]) -> Any:
    """The markers of both sides: the scan's from a list, or from the photos of its scene."""
    from triscope.shape.formats import open_scene
    from triscope.shape.markers import in_common, read_places, targets_mm
    from triscope.shape.stages import cloud_file
    from triscope.shape.units import unit_of

    known, place = marked(options), options["scan_markers"]
    if (known is None) != (place is None):
        raise click.UsageError(
            "--markers (on the reference) and --scan-markers (on the scan) go together."
        )
    if known is None:
        return None
    unit = unit_of(cloud_file(options["scan"]), options["unit"] or "")
    if place.is_dir():
        scene = open_scene(place, "interval")
        found = targets_mm(scene.with_(unit=scene.unit or unit), known.targets)
    else:
        found = read_places(place, unit)
    return in_common(found, known.places)


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
        if len(found.findings) > len(rows):
            people().print(f"{len(found.findings) - len(rows)} more are in findings.json.")
    people().print(f"Look: {options['output'] / 'report.html'}", style="dim")


command = click.Command(
    "compare",
    callback=compare,
    params=[
        click.Argument(["scan"], type=FOLDER),
        click.Argument(["reference"], type=FOLDER),
        output("compared"),
        *comparing_options(),
        option("--scan-markers", "PLACE", "The markers on the scan: a file as that of --markers, "
               "or the scene whose photos show them.", type=FOLDER),
        unit("scan"),
        unit("reference", "--reference-unit"),
        json_flag(),
    ],
    help="Compare SCAN (a fused folder, PLY, STL or OBJ) with REFERENCE (STL, PLY or OBJ).",
    no_args_is_help=True,
)  # fmt: skip
