"""Find the cameras of photos (structure from motion), or sparse points for known cameras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triscope.cli._exits import DONE
from triscope.cli._options import json_flag
from triscope.cli._output import emit, note, people
from triscope.cli._shape._shared import FOLDER, output, photo_options, photos_of

KEYS = {
    "scene": "folder of the scene",
    "views": "photos that found their place",
    "points": "sparse points",
    "unit": "mm where a scale was given, else empty",
    "problems": "photos without a place",
}


def find(**options: Any) -> int:
    """Find, scale, choose views, write."""
    from triscope.errors import DataError
    from triscope.shape import cameras, views
    from triscope.shape.formats import open_scene
    from triscope.shape.formats.mvsnet import write_scene

    work, photos = options["output"] / "work", photos_of(options)
    try:
        known = open_scene(options["photos"], "interval")
    except DataError:
        known = None
    if known is not None:
        scene = cameras.triangulated(known, work, features=photos.features, threads=photos.threads)
        scene = cameras.scaled_as_known(scene, photos)
    else:
        scene = cameras.of_photos(options["photos"], work, photos)
    scene = views.choose_views(scene)
    write_scene(options["output"], scene)
    points = len(scene.sparse.xyz) if scene.sparse is not None else 0
    for problem in scene.problems:
        note(problem)
    answer = {
        "scene": options["output"],
        "views": len(scene.views),
        "points": points,
        "unit": scene.unit,
        "problems": scene.problems,
    }
    if options["as_json"]:
        emit(answer, KEYS)
    else:
        place: Path = options["output"]
        told = scene.unit or "no scale: give --board or --distance for millimetres"
        people().print(f"[bold]{place}[/]: {len(scene.views)} views, {points:,} points ({told})")
    return DONE


command = click.Command(
    "cameras",
    callback=find,
    params=[
        click.Argument(["photos"], type=FOLDER),
        output("scene"),
        *photo_options(),
        json_flag(),
    ],
    help="Find the cameras of the folder PHOTOS with COLMAP; where cameras are known already (a "
    "scene), only sparse points are added.",
    no_args_is_help=True,
)
