"""Generate a machined part: photos, exact depth, cameras and STL, good or defective."""

from __future__ import annotations

from typing import Any

import click

from triscope.cli._exits import DONE
from triscope.cli._options import json_flag, option
from triscope.cli._output import emit, people
from triscope.cli._shape._shared import output

KEYS = {
    "scene": "folder of the scene",
    "views": "number of photos",
    "kind": "kind of the part",
    "defect": "what is wrong with it; null if nothing",
    "unit": "mm",
}


def make(**options: Any) -> int:
    """Generate and write."""
    from triscope.shape.synth import Look, Part, Rig, write_part

    part = Part(options["kind"], options["defect"], options["amount"], options["seed"])
    size = (round(options["width"] * 0.73 / 8) * 8, options["width"])
    rig = Rig(views=options["views"], size=size)
    look = Look(gloss=options["gloss"], seed=options["noise_seed"])
    scene = write_part(options["output"], part, rig, look)
    answer = {
        "scene": options["output"],
        "views": len(scene.views),
        "kind": part.kind,
        "defect": part.defect,
        "unit": "mm",
    }
    if options["as_json"]:
        emit(answer, KEYS)
    else:
        how = "" if part.defect == "missing_hole" else f" by {part.amount:g} mm"
        wrong = f", {part.defect}{how}" if part.defect else ", good"
        people().print(
            f"[bold]{options['output']}[/]: {part.kind} part{wrong}, {len(scene.views)} photos"
        )
    return DONE


command = click.Command(
    "synth",
    callback=make,
    params=[
        output("part"),
        option("--kind", "KIND", "drilled, engraved, turned or cast.",
               type=click.Choice(["drilled", "engraved", "turned", "cast"]), default="drilled"),
        option("--defect", "WHAT", "bent, burr, missing_hole or dent.",
               type=click.Choice(["bent", "burr", "missing_hole", "dent"])),
        option("--amount", "MM", "How much.", default=0.3),
        option("--views", "N", "Photos.", default=12),
        option("--width", "PX", "Width of a photo.", default=1200),
        option("--gloss", "SHARE", "Share of mirrored light.", default=0.0),
        option("--seed", "N", "Of the grain of the surface.", default=0),
        option("--noise-seed", "N", "Of the sensor noise.", default=0),
        json_flag(),
    ],
    help="Generate photos of a machined part of 100 mm with exact depth, cameras and STL.",
)  # fmt: skip
