"""Draw a sheet of images as a training sees them, with boxes, masks and made-up defects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triscope.cli._data._source import layout_option, opened, source_argument
from triscope.cli._exits import DONE
from triscope.cli._options import add, option
from triscope.cli._output import emit, json_option, people

KEYS = {
    "sheet": "path of the picture",
    "images": "how many images are on it",
    "change": "which change was drawn",
    "seed": "of the change",
}
FILE = click.Path(path_type=Path)
CHANGES = ("none", "gentle", "cutpaste", "scar", "perlin", "transplant")


@click.command("preview")
@source_argument
@layout_option
@json_option
def command(source: str, layout: str | None, as_json: bool, **options: Any) -> int:
    """Draw a sheet of SOURCE: each image beside what a change makes of it.

    none, gentle (what classifiers and segmenters learn with), or a made-up defect: cutpaste, scar,
    perlin, transplant (of the drawn defects of SOURCE to its good images).
    """
    import cv2
    import numpy as np

    from triscope.surface.synth.sheet import sheet

    samples = opened(source, layout).samples
    picture, count = sheet(
        samples, options["change"], options["count"], options["seed"], options["size"]
    )
    out: Path = options["output"]
    out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(out), np.ascontiguousarray(picture[..., ::-1]))
    answer = {"sheet": out, "images": count, "change": options["change"], "seed": options["seed"]}
    if as_json:
        emit(answer, KEYS)
    else:
        people().print(f"{out}: {count} images, change: {options['change']}", markup=False)
    return DONE


add(
    command,
    option("-o --output", "FILE", "The sheet.", type=FILE, default="preview.png"),
    option("--change", "NAME", "What is drawn.", type=click.Choice(CHANGES), default="gentle"),
    option("--count", "N", "Images on the sheet.", default=12),
    option("--size", "N", "Pixels of a side of each picture.", default=200),
    option("--seed", "N", "Of the change.", default=0),
)
