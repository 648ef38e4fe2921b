"""COCO: ``images/``, and ``annotations/instances_<split>.json`` with boxes and masks."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from triscope.kernel.data.image import read_mask
from triscope.kernel.data.sample import BoxLabel, Dataset, MaskSource
from triscope.kernel.data.writers._out import SPLIT_NAMES, Out, boxes_of, classes_of
from triscope.kernel.geometry import boxes as box_math
from triscope.kernel.geometry import masks as mask_math
from triscope.kernel.geometry.rle import Rle


def write(data: Dataset, out: Out) -> None:
    """One JSON a split; categories and ids count from 1."""
    numbers = {name: i for i, name in enumerate(classes_of(data), start=1)}
    files: dict[str, dict[str, Any]] = {}
    for number, (sample, name, hw) in enumerate(out.samples(data), start=1):
        out.image(sample, f"images/{name}")
        categories = [{"id": i, "name": label} for label, i in numbers.items()]
        whole = files.setdefault(
            SPLIT_NAMES[sample.split], {"images": [], "annotations": [], "categories": categories}
        )
        row = {"id": number, "file_name": name, "height": hw[0], "width": hw[1]}
        whole["images"].append(row)
        for box in boxes_of(sample, hw):
            annotation = _annotation(box, number, numbers[box.label])
            annotation["id"] = 1 + sum(len(file["annotations"]) for file in files.values())
            whole["annotations"].append(annotation)
        if sample.label is None:
            out.problems.add("images without label became images without defects", sample.name)
    for split, whole in files.items():
        out.text(json.dumps(whole), f"annotations/instances_{split}.json")


def _annotation(box: BoxLabel, image: int, category: int) -> dict[str, Any]:
    x0, y0, x1, y1 = box.box
    row: dict[str, Any] = {
        "image_id": image,
        "category_id": category,
        "bbox": [float(value) for value in box_math.to_coco(box.box)[0]],
        "area": (x1 - x0) * (y1 - y0),
        "iscrowd": int(box.difficult),
    }
    if box.mask is not None:
        row["segmentation"], row["area"] = _segmentation(box.mask)
    return row


def _segmentation(source: MaskSource) -> tuple[Any, int]:
    """Polygons along the edges of pixels; run lengths where there are holes, as COCO has none."""
    mask = read_mask(source)
    rings = mask_math.to_polygons(mask)
    if any(_signed_area(ring) < 0 for ring in rings):
        return Rle.encode(mask).to_coco(), mask_math.area(mask)
    return [(ring + 0.5).ravel().tolist() for ring in rings], mask_math.area(mask)


def _signed_area(ring: Any) -> float:
    """Positive for an outer ring as :func:`to_polygons` walks it, negative for a hole."""
    x, y = ring[:, 0], ring[:, 1]
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) / 2)
