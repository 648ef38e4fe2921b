"""Masks at one threshold: IoU and Dice of pixels, and how well borders are met."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.kernel.metrics.overlap import mask_confusion
from triscope.kernel.metrics.rates import Confusion

NOTHING = Confusion(0, 0, 0, 0)
TOLERANCE = 0.0075  # of the diagonal of the image (Csurka et al. 2013)


@dataclass
class Masks:
    """Found masks beside drawn ones, all together and per defect type."""

    tables: dict[str, Confusion] = field(default_factory=dict)
    borders: dict[str, list[float]] = field(default_factory=dict)

    def add(self, label: str, truth: NDArray[np.bool_], found: NDArray[np.bool_]) -> None:
        """One image, its masks bool (h, w)."""
        table = mask_confusion(found, truth)
        self.tables[label] = self.tables.get(label, NOTHING) + table
        if truth.any():
            self.borders.setdefault(label, []).append(boundary_f(found, truth))

    def result(self) -> dict[str, Any]:
        """``iou`` and ``dice`` of all pixels together, mean ``boundary_f``, one row a type."""
        if not self.tables:
            return {"iou": None, "dice": None, "boundary_f": None, "types": []}
        whole = sum(self.tables.values(), NOTHING)
        rows = []
        for name, table in sorted(self.tables.items()):
            borders = self.borders.get(name)
            if borders:
                row = {"name": name, "images": len(borders), "iou": table.iou, "dice": table.f1}
                rows.append({**row, "boundary_f": float(np.mean(borders))})
        every = [value for values in self.borders.values() for value in values]
        return {
            "iou": whole.iou,
            "dice": whole.f1,
            "boundary_f": float(np.mean(every)) if every else None,
            "types": rows,
        }


def boundary_f(
    found: NDArray[np.bool_], truth: NDArray[np.bool_], tolerance: float = TOLERANCE
) -> float:
    """F measure of border pixels that lie near a border of the other mask; 1 where both are empty.

    ``tolerance`` is a share of the diagonal; at least one pixel is allowed.
    """
    a, b = border(found), border(truth)
    if not a.any() or not b.any():
        return float(not a.any() and not b.any())
    reach = max(1.0, tolerance * float(np.hypot(*truth.shape)))
    precision = float((_distance(b)[a] <= reach).mean())
    recall = float((_distance(a)[b] <= reach).mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def border(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of the mask beside a pixel that is not of it; the edge of the image is no border."""
    eroded = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
    return np.asarray(mask & (eroded == 0))


def _distance(places: NDArray[np.bool_]) -> NDArray[np.float32]:
    return np.asarray(cv2.distanceTransform((~places).astype(np.uint8), cv2.DIST_L2, 5))
