"""Depth maps to one cloud and, with a voxel size, to a mesh."""

from __future__ import annotations

from typing import Any

import click

from triscope.cli._exits import DONE
from triscope.cli._options import json_flag, option
from triscope.cli._output import emit, people
from triscope.cli._shape._shared import FOLDER, depth_line, output

KEYS = {
    "fused": "folder with cloud.ply and mesh.ply",
    "points": "points of the cloud",
    "faces": "faces of the mesh; 0 without one",
    "unit": "unit of both",
    "probability": "least confidence",
    "pixels": "most distance after the way to a source and back",
    "relative": "most relative difference of depth",
    "views": "views that must agree",
    "border": "pixels left out at jumps of depth",
    "once": "whether a surface that several views saw comes once",
}


def fuse(**options: Any) -> int:
    """Fuse and write."""
    from triscope.shape import stages

    names = ("probability", "pixels", "relative", "views", "border")
    given = {name: options[name] for name in names if options[name] is not None}
    settings = stages.fusion_settings(options["depth"], **given)
    found = stages.fuse(
        options["scene"],
        options["depth"],
        options["output"],
        settings,
        voxel=options["voxel"],
        second=options["depth_line"] or "interval",
    )
    if options["as_json"]:
        emit({"fused": options["output"], **found}, KEYS)
    else:
        mesh = f", a mesh of {found['faces']:,} faces" if found["faces"] else ""
        people().print(f"[bold]{options['output']}[/]: {found['points']:,} points{mesh}")
    return DONE


command = click.Command(
    "fuse",
    callback=fuse,
    params=[
        click.Argument(["scene"], type=FOLDER),
        click.Argument(["depth"], type=FOLDER),
        output("fused"),
        option("--voxel", "X", "Also a mesh, of voxels of this size.", default=0.0),
        option("--probability", "P", "Least confidence of a pixel.", type=float),
        option("--pixels", "X", "Most distance there and back, in pixels.", type=float),
        option("--relative", "X", "Most relative difference of depth.", type=float),
        option("--views", "N", "Views that must agree.", type=int),
        option("--border", "N", "Pixels left out at jumps of depth.", type=int),
        depth_line(),
        json_flag(),
    ],
    help="Fuse the depth maps of the folder DEPTH for SCENE.",
    no_args_is_help=True,
)
