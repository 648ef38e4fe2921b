"""The mask of what words say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triscope.cli._output import emit, json_option, show_table
from triscope.cli._segment._shared import PATH, network_of, network_options, numbers
from triscope.cli._segment._text._shared import word_options, word_predictor

KEYS = {
    "image": "the image",
    "words": "what was asked for",
    "network": "the network that answered",
    "masks": "list of objects: predicted_iou, area_px, box (xyxy), rle (COCO), best first",
    "written": "files that were written",
}


@click.command("predict")
@click.argument("image")
@click.argument("words")
@click.option("--point", "points", multiple=True, metavar="X,Y[,0]", help="A click that helps.")
@click.option("-o", "--output", type=PATH, help="Write the best mask as a PNG.")
@click.option("--overlay", type=PATH, help="Write the image with the best mask.")
@word_options
@network_options
@json_option
def command(**values: Any) -> None:
    """Find WORDS in IMAGE, with the most trusted mask first."""
    from triscope.kernel.data import read_image
    from triscope.kernel.geometry.rle import Rle

    network = network_of(values)
    image = read_image(values["image"])
    predictor = word_predictor(network, values)
    predictor.set_image(image)
    clicks = [numbers(text, (2, 3), "a point") for text in values["points"]]
    points = [one[:2] for one in clicks] or None
    labels = [int(one[2]) if len(one) == 3 else 1 for one in clicks] or None
    found = predictor.predict_text(values["words"], points, labels)
    order = sorted(range(len(found)), key=lambda i: -found.iou[i])
    rows = []
    for i in order:
        rle = Rle.encode(found.masks[i])
        rows.append(
            {
                "predicted_iou": float(found.iou[i]), "area_px": rle.area, "box": rle.box,
                "rle": rle.to_coco(),
            }
        )  # fmt: skip
    written = _write(values, image, found.masks[order[0]], points or [], labels or [])
    if values["as_json"]:
        answer = {
            "image": values["image"], "words": values["words"], "network": network.label,
            "masks": rows, "written": written,
        }  # fmt: skip
        emit(answer, KEYS)
        return
    cells = [
        (i + 1, f"{row['predicted_iou']:.3f}", row["area_px"], row["box"])
        for i, row in enumerate(rows)
    ]
    title = f"{values['words']!r}"
    show_table(title, ("mask", "predicted IoU", "area px", "box"), cells, right=(0, 1, 2))
    for path in written:
        click.echo(f"written: {path}")


def _write(values: dict[str, Any], image: Any, mask: Any, points: Any, labels: Any) -> list[Path]:
    from triscope.segment import pictures

    written = []
    if values["output"]:
        pictures.save(values["output"], mask.astype("uint8") * 255)
        written.append(values["output"])
    if values["overlay"]:
        drawn = pictures.with_prompts(pictures.with_masks(image, [mask]), points, labels)
        pictures.save(values["overlay"], drawn)
        written.append(values["overlay"])
    return written
