"""Average precision of boxes, as COCO and VOC define it; scored by faster-coco-eval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.errors import needs_extra

Box = tuple[float, float, float, float]
OVERLAPS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
PLACES = 101  # recalls at which the curves are read
AREAS = {"small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}


@dataclass
class Detections:
    """Boxes of many images beside the true ones; ``result`` scores them all.

    Boxes are xyxy in pixels of the capture. Classes that the check does not know are counted, and
    left out.
    """

    classes: Sequence[str]
    most: int = 100  # boxes an image that count, the best ones
    unknown: dict[str, int] = field(default_factory=dict)
    _truths: list[dict[str, Any]] = field(default_factory=list)
    _found: list[dict[str, Any]] = field(default_factory=list)
    _images: int = 0

    def add(
        self,
        truths: Sequence[tuple[str, Box]],
        found: Sequence[tuple[str, Box, float]],
    ) -> None:
        """One image: (class, box) of what is there, (class, box, score) of what was found."""
        self._images += 1
        for label, box in truths:
            if label not in self.classes:
                self.unknown[label] = self.unknown.get(label, 0) + 1
                continue
            row = self._row(label, box)
            area = row["bbox"][2] * row["bbox"][3]
            number = len(self._truths) + 1
            self._truths.append({**row, "id": number, "area": area, "iscrowd": 0})
        for label, box, score in found:
            if label in self.classes:
                self._found.append({**self._row(label, box), "score": float(score)})

    def result(self) -> dict[str, Any]:
        """``map_50``, ``map_50_95``, ``map_75``, one row a class, and the curves at IoU 0.5."""
        precision, recall = self._scored()  # (10, 101, c), (10, c)
        rows = []
        for number, name in enumerate(self.classes):
            truths = sum(t["category_id"] == number + 1 for t in self._truths)
            rows.append(
                {
                    "name": name,
                    "truths": truths,
                    "found": sum(f["category_id"] == number + 1 for f in self._found),
                    "ap_50": _mean(precision[0, :, number]) if truths else None,
                    "ap_50_95": _mean(precision[:, :, number]) if truths else None,
                    "recall_50": float(recall[0, number]) if truths else None,
                    "curve": [round(float(p), 4) for p in precision[0, ::5, number]]
                    if truths
                    else None,
                }
            )
        known = [row for row in rows if row["truths"]]
        thresholds = {"map_50": 0, "map_75": OVERLAPS.index(0.75)}
        seen = [i for i, row in enumerate(rows) if row["truths"]]
        answer: dict[str, Any] = {
            name: _mean(precision[place][:, seen]) if known else None
            for name, place in thresholds.items()
        }
        answer["map_50_95"] = _mean(precision[:, :, seen]) if known else None
        return {**answer, "images": self._images, "classes": rows, "unknown": dict(self.unknown)}

    def _scored(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Precision (iou, recall, class) and recall (iou, class), -1 where there is no truth."""
        count = len(self.classes)
        if not self._truths:
            return np.full((10, PLACES, count), -1.0), np.full((10, count), -1.0)
        if not self._found:
            return np.zeros((10, PLACES, count)), np.zeros((10, count))
        coco, scorer = _library()
        truth = coco(
            {
                "images": [{"id": i + 1} for i in range(self._images)],
                "annotations": self._truths,
                "categories": [{"id": i + 1, "name": name} for i, name in enumerate(self.classes)],
            }
        )
        scored = scorer(truth, truth.loadRes(self._found), "bbox", print_function=_silent)
        scored.params.iouThrs = np.array(OVERLAPS)
        scored.params.maxDets = [1, 10, self.most]
        scored.evaluate()
        scored.accumulate()
        precision = np.asarray(scored.eval["precision"])[:, :, :, 0, -1]
        recall = np.asarray(scored.eval["recall"])[:, :, 0, -1]
        return precision, recall

    def _row(self, label: str, box: Box) -> dict[str, Any]:
        x0, y0, x1, y1 = (float(value) for value in box)
        return {
            "image_id": self._images,
            "category_id": list(self.classes).index(label) + 1,
            "bbox": [x0, y0, x1 - x0, y1 - y0],
        }


def _library() -> tuple[Any, Any]:
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError as error:
        raise needs_extra("scoring boxes", "train", "faster-coco-eval") from error
    return COCO, COCOeval_faster


def _mean(values: NDArray[np.float64]) -> float:
    return float(np.clip(values, 0, 1).mean())


def _silent(*_: Any, **__: Any) -> None:
    """The library reports its progress; a library of ours does not print."""
