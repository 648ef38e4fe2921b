"""YOLO: ``images/<split>/``, ``labels/<split>/*.txt`` and ``data.yaml``."""

from __future__ import annotations

import json

from triscope.kernel.data.sample import Dataset
from triscope.kernel.data.writers._out import SPLIT_NAMES, Out, boxes_of, classes_of
from triscope.kernel.geometry import boxes as box_math


def write(data: Dataset, out: Out) -> None:
    """Boxes in shares of the image; an image without defects has no label file."""
    classes = classes_of(data)
    splits: dict[str, None] = {}
    for sample, name, hw in out.samples(data):
        split = SPLIT_NAMES[sample.split]
        splits[split] = None
        out.image(sample, f"images/{split}/{name}")
        boxes = boxes_of(sample, hw)
        rows = box_math.to_yolo([box.box for box in boxes], hw)
        lines = [
            f"{classes.index(box.label)} " + " ".join(f"{value:.10g}" for value in row)
            for box, row in zip(boxes, rows, strict=True)
        ]
        if lines:
            stem = name.rsplit(".", 1)[0]
            out.text("\n".join(lines) + "\n", f"labels/{split}/{stem}.txt")
        if sample.mask is not None:
            out.problems.add("masks became boxes", sample.name)
        if sample.label is None:
            out.problems.add("images without label became images without defects", sample.name)
        if any(box.difficult for box in boxes):
            out.problems.add("marks 'difficult' were lost", sample.name)
    names = "".join(f"  {i}: {json.dumps(name)}\n" for i, name in enumerate(classes))
    places = "".join(f"{split}: images/{split}\n" for split in splits)
    out.text(f"path: .\n{places}names:\n{names}", "data.yaml")
