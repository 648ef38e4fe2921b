"""Instance segmentation from a detector's boxes: mask AP, arXiv:2304.02643 section 7.4, D.4.

Each box is a prompt; then once more with the box and the most confident mask, as published.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from triscope.errors import BadLabels
from triscope.kernel.geometry.rle import Rle
from triscope.segment.answers import Prompted
from triscope.segment.evaluate.cases import Case
from triscope.segment.evaluate.overlaps import Precision, mask_iou

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Detection:
    """One box xyxy of a detector, with its confidence."""

    box: Box
    score: float
    label: str = ""


def evaluate_instances(
    predictor: Prompted,
    cases: Iterable[Case],
    detections: Mapping[str, Sequence[Detection]] | None = None,
) -> dict[str, Any]:
    """AP of the masks of given boxes; without ``detections`` the true boxes are the prompts."""
    precision, boxes = Precision(), 0
    for case in cases:
        given = _true_boxes(case) if detections is None else detections.get(case.name, ())
        boxes += len(given)
        predictor.set_image(case.image)
        found = [Rle.encode(mask) for mask in masks_of(predictor, given)]
        truth = [Rle.encode(mask) for mask in case.masks]
        precision.add([one.score for one in given], mask_iou(found, truth))
    return {**precision.to_dict(), "boxes": boxes, "masks": precision.count}


def masks_of(predictor: Prompted, detections: Sequence[Detection]) -> Iterator[Any]:
    """The mask bool (h, w) of each box, refined once with itself."""
    h, w = predictor.embedding.frame.image_hw
    for one in detections:
        box = np.clip(np.asarray(one.box, float), 0, [w, h, w, h])
        if box[2] - box[0] < 1 or box[3] - box[1] < 1:
            yield np.zeros((h, w), bool)
            continue
        first = predictor.predict(box=box)
        again = predictor.predict(box=box, mask=first.logits[first.best], multimask=False)
        yield again.masks[0]


def read_detections(path: Path, names: dict[int, str]) -> dict[str, list[Detection]]:
    """COCO results (a list of image_id, bbox, score) by image name; ``names`` maps the ids."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        found: dict[str, list[Detection]] = {}
        for row in rows:
            x, y, w, h = (float(side) for side in row["bbox"])
            one = Detection(
                (x, y, x + w, y + h), float(row["score"]), str(row.get("category_id", ""))
            )
            found.setdefault(names[row["image_id"]], []).append(one)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadLabels(
            f"{path} is not a list of COCO results ({type(error).__name__}: {error}): expected "
            "objects with image_id, bbox [x, y, width, height] and score."
        ) from error
    return found


def _true_boxes(case: Case) -> list[Detection]:
    from triscope.segment.evaluate.clicks import tight_box

    return [Detection(tight_box(mask), 1.0) for mask in case.masks]
