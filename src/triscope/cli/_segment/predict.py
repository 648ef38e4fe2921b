"""The mask of a click, a box or a rough mask in one image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triscope.cli._output import emit, json_option, show_table
from triscope.cli._segment._shared import PATH, network_of, network_options, numbers

KEYS = {
    "image": "the image",
    "network": "the network that answered",
    "masks": "list of objects: predicted_iou, area_px, box (xyxy), rle (COCO), best first",
    "written": "files that were written",
}


@click.command("predict")
@click.argument("image")
@click.option("--point", "points", multiple=True, metavar="X,Y[,0]", help="A click; 0: outside.")
@click.option("--box", metavar="X0,Y0,X1,Y1", help="A box in pixels.")
@click.option("--mask", type=PATH, help="A rough mask (an image) to start from.")
@click.option("--single", is_flag=True, help="One mask instead of three nested ones.")
@click.option("-o", "--output", type=PATH, help="Write the best mask as a PNG.")
@click.option("--overlay", type=PATH, help="Write the image with the best mask and the prompts.")
@network_options
@json_option
def command(**values: Any) -> None:
    """Answer one prompt in IMAGE, with the most trusted mask first."""
    from triscope.kernel.data import read_image, read_mask
    from triscope.kernel.geometry.rle import Rle

    network = network_of(values)
    image = read_image(values["image"])
    predictor = network.predictor()
    predictor.set_image(image)
    points, labels, box = _prompt(values)
    rough = None
    if values["mask"]:
        rough = predictor.mask_prompt(read_mask(values["mask"]))
    found = predictor.predict(points, labels, box, rough, multimask=not values["single"])
    order = sorted(range(len(found)), key=lambda i: -found.iou[i])
    rows = [_row(Rle.encode(found.masks[i]), float(found.iou[i])) for i in order]
    written = _write(values, image, found.masks[order[0]], points, labels, box)
    if values["as_json"]:
        answer = {
            "image": values["image"], "network": network.label, "masks": rows, "written": written,
        }  # fmt: skip
        emit(answer, KEYS)
        return
    cells = [
        (i + 1, f"{row['predicted_iou']:.3f}", row["area_px"], row["box"])
        for i, row in enumerate(rows)
    ]
    show_table("", ("mask", "predicted IoU", "area px", "box"), cells, right=(0, 1, 2))
    for path in written:
        click.echo(f"written: {path}")


def _prompt(values: dict[str, Any]) -> tuple[Any, Any, Any]:
    clicks = [numbers(text, (2, 3), "a point") for text in values["points"]]
    points = [click[:2] for click in clicks] or None
    labels = [int(click[2]) if len(click) == 3 else 1 for click in clicks] or None
    return points, labels, numbers(values["box"], (4,), "a box") if values["box"] else None


def _row(rle: Any, iou: float) -> dict[str, Any]:
    return {"predicted_iou": iou, "area_px": rle.area, "box": rle.box, "rle": rle.to_coco()}


def _write(
    values: dict[str, Any], image: Any, mask: Any, points: Any, labels: Any, box: Any
) -> list[Path]:
    from triscope.segment import pictures

    written: list[Path] = []
    if values["output"]:
        pictures.save(values["output"], mask.astype("uint8") * 255)
        written.append(values["output"])
    if values["overlay"]:
        drawn = pictures.with_masks(image, [mask])
        drawn = pictures.with_prompts(drawn, points or (), labels or (), [box] if box else ())
        pictures.save(values["overlay"], drawn)
        written.append(values["overlay"])
    return written
