"""Overlaps of many masks with many, and the average precision and recall built on them (COCO)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from triscope.kernel.geometry.rle import Rle

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
THRESHOLDS = np.linspace(0.5, 0.95, 10)  # of overlap, COCO's
RECALLS = np.linspace(0, 1, 101)
SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, np.inf)}


def mask_iou(found: Sequence[Rle], truth: Sequence[Rle]) -> Floats:
    """Overlap of each found mask with each true one, float64 (n, m)."""
    out = np.zeros((len(found), len(truth)))
    boxes = [rle.box for rle in truth]
    drawn = [rle.decode() for rle in truth]
    for i, rle in enumerate(found):
        if (box := rle.box) is None:
            continue
        near = [j for j, other in enumerate(boxes) if other is not None and _touch(box, other)]
        if not near:
            continue
        mask = rle.decode()
        for j in near:
            shared = int(np.count_nonzero(mask & drawn[j]))
            out[i, j] = shared / (rle.area + truth[j].area - shared)
    return out


def _touch(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@dataclass
class Recall:
    """AR@k: the share of true masks that one of the k best proposals covers, over thresholds.

    One image after the other; each proposal may cover one true mask, the best overlaps first.
    """

    most: int = 1000
    areas: list[int] = field(default_factory=list)
    covered: list[float] = field(default_factory=list)

    def add(self, found: Sequence[Rle], truth: Sequence[Rle]) -> None:
        """The proposals of one image, most confident first, and its true masks."""
        overlaps = mask_iou(found[: self.most], truth)
        best = np.zeros(len(truth))
        for _ in range(min(overlaps.shape)):
            i, j = np.unravel_index(int(overlaps.argmax()), overlaps.shape)
            if overlaps[i, j] <= 0:
                break
            best[j] = overlaps[i, j]
            overlaps[i, :] = -1
            overlaps[:, j] = -1
        self.covered += best.tolist()
        self.areas += [rle.area for rle in truth]

    def average(self, size: str | None = None) -> float:
        """Average recall over the thresholds; of one size of masks where named; nan if none."""
        low, high = SIZES[size] if size else (0.0, np.inf)
        chosen = [c for c, area in zip(self.covered, self.areas, strict=True) if low <= area < high]
        if not chosen:
            return float("nan")
        return float(np.mean([np.mean(np.array(chosen) >= t) for t in THRESHOLDS]))

    def to_dict(self) -> dict[str, float]:
        """AR of all and of each size."""
        return {"AR": self.average(), **{f"AR {size}": self.average(size) for size in SIZES}}


@dataclass
class Precision:
    """Average precision of scored masks (COCO: 101 recalls, ten thresholds), one class."""

    rows: list[tuple[float, NDArray[np.bool_]]] = field(default_factory=list)
    count: int = 0

    def add(self, scores: Sequence[float], overlaps: Floats) -> None:
        """Found masks of one image with their overlaps (n, m) with its true masks."""
        self.count += overlaps.shape[1]
        order = np.argsort(-np.asarray(scores), kind="stable")
        free = np.ones((len(THRESHOLDS), overlaps.shape[1]), bool)
        for i in order:
            hit = np.zeros(len(THRESHOLDS), bool)
            for t, threshold in enumerate(THRESHOLDS):
                open_ones = np.where(free[t], overlaps[i], -1.0)
                if open_ones.size and open_ones.max() >= threshold:
                    free[t, int(open_ones.argmax())] = False
                    hit[t] = True
            self.rows.append((float(scores[i]), hit))

    def average(self) -> Floats:
        """AP at each threshold; nan without any true mask."""
        if not self.count:
            return np.full(len(THRESHOLDS), np.nan)
        rows = sorted(self.rows, key=lambda row: -row[0])
        hits = np.array([hit for _, hit in rows]).reshape(-1, len(THRESHOLDS))
        right = hits.cumsum(axis=0)
        recall = right / self.count
        precision = right / np.arange(1, len(hits) + 1)[:, None]
        precision = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
        return np.array([_at(recall[:, t], precision[:, t]) for t in range(len(THRESHOLDS))])

    def to_dict(self) -> dict[str, float]:
        """AP over all thresholds, at 0.5 and at 0.75."""
        values = self.average()
        return {"AP": float(values.mean()), "AP50": float(values[0]), "AP75": float(values[5])}


def _at(recall: Floats, precision: Floats) -> float:
    if not len(recall):
        return 0.0
    places = np.searchsorted(recall, RECALLS, side="left")
    inside = places < len(precision)
    return float(np.where(inside, precision[np.minimum(places, len(precision) - 1)], 0).mean())
