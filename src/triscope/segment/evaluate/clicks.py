"""Simulated prompts of an evaluation: deterministic clicks and boxes from true masks.

Clicks lie at the maximum of the distance transform, as published (arXiv:2304.02643 section 7.1 and
appendix D.1); the picture's border counts as outside.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadLabels

Bools = NDArray[np.bool_]
Point = tuple[float, float]
Box = tuple[float, float, float, float]


def centre_of(mask: Bools) -> Point:
    """The point (x, y) that is farthest from the outside of a mask (h, w)."""
    if not mask.any():
        raise BadLabels("an empty mask has no centre: leave images without mask out.")
    return _peak(mask)[1]


def next_click(found: Bools, truth: Bools) -> tuple[Point, int]:
    """The click that corrects most: the centre of the thickest error, 1 if it was missed else 0.

    Where nothing is wrong, the centre of the mask once more.
    """
    missed, _ = _peak(truth & ~found)
    extra, _ = _peak(found & ~truth)
    if missed == 0 and extra == 0:
        return centre_of(truth), 1
    if missed >= extra:
        return _peak(truth & ~found)[1], 1
    return _peak(found & ~truth)[1], 0


def tight_box(mask: Bools) -> Box:
    """The smallest box xyxy, end-exclusive, of a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        raise BadLabels("an empty mask has no box: leave images without mask out.")
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def moved_box(mask: Bools, rng: np.random.Generator, share: float = 0.05) -> Box:
    """The tight box with each side moved by up to ``share`` of its length, inside the image."""
    x0, y0, x1, y1 = tight_box(mask)
    move = rng.uniform(-share, share, 4) * [x1 - x0, y1 - y0, x1 - x0, y1 - y0]
    h, w = mask.shape
    left, right = np.clip([x0 + move[0], x1 + move[2]], 0, w)
    top, bottom = np.clip([y0 + move[1], y1 + move[3]], 0, h)
    return float(left), float(top), float(max(right, left + 1e-3)), float(max(bottom, top + 1e-3))


def _peak(mask: Bools) -> tuple[float, Point]:
    """The largest distance to the outside and where it is, the first in reading order."""
    padded = np.pad(mask, 1).astype(np.uint8)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(int(distance.argmax()), distance.shape)
    return float(distance[y, x]), (float(x), float(y))
