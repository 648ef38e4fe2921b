"""From photos to a coloured deviation report: cameras, views, depth, surface, comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triscope.cli._exits import DONE, FAILED
from triscope.cli._options import json_flag, option
from triscope.cli._output import emit, note, people
from triscope.cli._progress import progress
from triscope.cli._shape._shared import (
    FOLDER,
    built,
    comparing,
    comparing_options,
    depth_line,
    marked,
    model_options,
    photo_options,
    photos_of,
    ranges,
    unit,
)

SECTION = "Domains"
KEYS = {
    "output": "folder with scene, depth, fused and compared",
    "views": "views of the scene",
    "points": "points of the cloud",
    "unit": "unit of the cloud",
    "advice": "what is wrong with views that have hardly any depth",
    "findings": "findings of the comparison; null without a reference",
    "report": "the page; null without a reference",
    "problems": "what one should know of the cameras, the reference and the alignment",
}


def reconstruct(**options: Any) -> int:
    """Run the stages; each goes on where it stopped."""
    from triscope.shape import reconstruction

    with progress() as report:
        found = reconstruction.reconstruct(
            options["source"],
            options["output"],
            built(options),
            reference=options["reference"],
            settings=comparing(options),
            sources=options["sources"],
            number_of_planes=options["planes"],
            near=options["near"] or 0.0,
            far=options["far"] or 0.0,
            unit=options["unit"] or "",
            reference_unit=options["reference_unit"] or "",
            longest=options["longest"],
            second=options["depth_line"],
            voxel=options["voxel"],
            fusion={
                n: options[n] for n in ("relative", "border", "views") if options[n] is not None
            },
            photos=photos_of(options),
            marked=marked(options),
            progress=report,
        )
    for line in (*found["advice"], *found["problems"]):
        note(line)
    compared = found.pop("comparison")
    if options["as_json"]:
        emit(found, KEYS)
    else:
        _show(found, options["output"], compared)
    return FAILED if found["findings"] else DONE


def _show(found: dict[str, Any], output: Path, compared: Any) -> None:
    from triscope.shape.reporting import found_in_words

    words = f", {found_in_words(compared)}" if compared is not None else ""
    people().print(
        f"[bold]{output}[/]: {found['points']:,} points of {found['views']} views{words}"
    )
    if found["report"]:
        people().print(f"Look: {found['report']}", style="dim")


command = click.Command(
    "reconstruct",
    callback=reconstruct,
    params=[
        click.Argument(["source"], type=FOLDER),
        option("-o --output", "FOLDER", "Where all results go.", type=FOLDER,
               default="reconstruction"),
        option("--reference", "FILE", "CAD part or golden scan (STL, PLY, OBJ) to compare with.",
               type=FOLDER),
        *comparing_options(),
        *model_options(),
        *ranges(),
        option("--longest", "N", "Shrink photos to so many pixels on the longer side.", default=0),
        option("--voxel", "X", "Also a mesh, of voxels of this size.", default=0.0),
        option("--relative", "X", "Most relative difference of depth between views.", type=float),
        option("--border", "N", "Pixels left out at jumps of depth.", type=int),
        option("--views", "N", "Views that must agree on a point.", type=click.IntRange(2)),
        unit("scene"),
        unit("reference", "--reference-unit"),
        *photo_options(),
        depth_line(),
        json_flag(),
    ],
    help="Reconstruct the part in SOURCE: a scene with cameras, or a folder of photos.",
    no_args_is_help=True,
)  # fmt: skip
