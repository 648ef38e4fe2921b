"""Choose which views match which, and how deep to look: any layout in, MVSNet's out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triscope.cli._exits import DONE
from triscope.cli._options import json_flag, option
from triscope.cli._output import emit, note, people
from triscope.cli._shape._shared import FOLDER, depth_line, output, ranges, unit

KEYS = {
    "scene": "folder of the scene",
    "views": "number of views",
    "layout": "layout that was read",
    "unit": "unit of the poses; empty where it is not known",
    "near": "nearest depth of all views",
    "far": "farthest depth of all views",
    "problems": "what could not be used, and why",
}


def choose(**options: Any) -> int:
    """Read, choose, write."""
    from triscope.shape import stages

    scene = stages.choose(
        options["scene"],
        options["output"],
        near=options["near"] or 0.0,
        far=options["far"] or 0.0,
        unit=options["unit"] or "",
        longest=options["longest"],
        second=options["depth_line"],
    )
    answer = {
        "scene": options["output"],
        "views": len(scene.views),
        "layout": scene.layout,
        "unit": scene.unit,
        "near": min((r.near for r in scene.ranges.values()), default=None),
        "far": max((r.far for r in scene.ranges.values()), default=None),
        "problems": scene.problems,
    }
    for problem in scene.problems:
        note(problem)
    if options["as_json"]:
        emit(answer, KEYS)
    else:
        place: Path = options["output"]
        people().print(
            f"[bold]{place}[/]: {answer['views']} views, depth {answer['near']:.4g} to "
            f"{answer['far']:.4g} {scene.unit or '(unit not known)'}"
        )
    return DONE


command = click.Command(
    "views",
    callback=choose,
    params=[
        click.Argument(["scene"], type=FOLDER),
        output("scene"),
        *ranges(),
        unit("poses"),
        option("--longest", "N", "Shrink photos to so many pixels on the longer side.", default=0),
        depth_line(),
        json_flag(),
    ],
    help="Choose sources and depth ranges for the views of SCENE (MVSNet, COLMAP, Middlebury, "
    "Strecha, or posed colour with depth).",
    no_args_is_help=True,
)
