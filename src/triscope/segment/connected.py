"""What of a mask hangs together with the clicks; NumPy and OpenCV only."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]


def under_clicks(mask: Bools, points: NDArray[np.float64]) -> Bools:
    """The connected regions of a mask (h, w) on which one of the points (p, 2) lies.

    All of the mask where no point lies on it: a click beside a thin thing means that thing.
    """
    h, w = mask.shape
    count, regions = cv2.connectedComponents(mask.view(np.uint8))
    x, y = np.round(points).astype(int).T
    kept = np.zeros(count, bool)
    kept[regions[y.clip(0, h - 1), x.clip(0, w - 1)]] = True
    kept[0] = False  # what is no mask
    return kept[regions] if kept.any() else mask
