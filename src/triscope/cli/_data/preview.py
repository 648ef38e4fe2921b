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
CHANGES = ("none", "gentle", "boxed", "cutpaste", "scar", "perlin", "transplant")


@click.command("preview")
@source_argument
@layout_option
@json_option
def command(source: str, layout: str | None, as_json: bool, **options: Any) -> int:
    """Draw a sheet of SOURCE: each image beside what a change makes of it.

    none, gentle (what classifiers and segmenters learn with), boxed (what detectors learn with),
    or a made-up defect: cutpaste, scar, perlin, transplant (of the drawn defects of SOURCE to its
    good images).
    """
    from triscope.surface.synth.sheet import learned_change, sheet

    samples = opened(source, layout).samples
    change = options["change"] or learned_change(samples)
    picture, count = sheet(samples, change, options["count"], options["seed"], options["size"])
    out: Path = options["output"]
    _write(out, picture)
    answer = {"sheet": out, "images": count, "change": change, "seed": options["seed"]}
    if as_json:
        emit(answer, KEYS)
    else:
        people().print(f"{out}: {count} images, change: {change}", markup=False)
    return DONE


def _write(out: Path, picture: Any) -> None:
    """Raises UsageError where the file cannot be a picture."""
    import cv2
    import numpy as np

    from triscope.errors import UsageError

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        written = cv2.imwrite(str(out), np.ascontiguousarray(picture[..., ::-1]))
    except (cv2.error, OSError):  # an ending that OpenCV does not know, no folder
        written = False
    if not written:
        raise UsageError(
            f"{out} cannot be written as a picture: give a name that ends in .png or .jpg, in a "
            "folder where you may write."
        )


add(
    command,
    option("-o --output", "FILE", "The sheet.", type=FILE, default="preview.png"),
    option(
        "--change",
        "NAME",
        "What is drawn. [default: boxed where there are boxes and no masks, gentle otherwise]",
        type=click.Choice(CHANGES),
    ),
    option("--count", "N", "Images on the sheet.", default=12),
    option("--size", "N", "Pixels of a side of each picture.", default=200),
    option("--seed", "N", "Of the change.", default=0),
)
