"""The pixel threshold: at most so many good parts show any region of a size that matters.

Every good map has a level from which on no region is left that is large enough; these levels are
scores like those of parts, and the threshold is the same order statistic of them. A map is looked
at once and only its level is kept.

A region shrinks as the threshold rises, so "large enough" is asked of measures that can only
shrink with it: the area; for the length the diameter of the enclosing circle; for the width the
area of the tightest rectangle. They are never smaller than what :mod:`runtime.regions` measures
(length and width of that rectangle), so fewer good parts show regions than promised, never more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadLabels, BadSettings
from triscope.kernel.calibrate.order import line_for, percent, scores_of
from triscope.kernel.metrics.steps import must_be_finite
from triscope.kernel.results import Heatmap

Map = NDArray[np.float32]


@dataclass(frozen=True)
class RegionSize:
    """The least size of a region that matters, in pixels of the capture; 0 asks nothing."""

    area_px: float = 0.0
    length_px: float = 0.0
    width_px: float = 0.0

    def __post_init__(self) -> None:
        if min(self.area_px, self.length_px, self.width_px) < 0:
            raise BadSettings(f"sizes of regions are 0 or more, got {self}.")

    @classmethod
    def in_mm(
        cls,
        mm_per_px: float,
        *,
        area_mm2: float = 0.0,
        length_mm: float = 0.0,
        width_mm: float = 0.0,
    ) -> RegionSize:
        """Sizes given in millimetres, where a pixel of the capture is ``mm_per_px`` wide."""
        if not mm_per_px > 0:
            raise BadSettings(f"mm_per_px is a number above 0, got {mm_per_px}.")
        return cls(area_mm2 / mm_per_px**2, length_mm / mm_per_px, width_mm / mm_per_px)


@dataclass(frozen=True)
class PixelDecision:
    """The pixel threshold with the size that regions must have, and the promise behind it."""

    above: float
    size: RegionSize
    promise: dict[str, Any]


def pixel_threshold(
    good_maps: Iterable[Heatmap | Map],
    *,
    false_reject: float = 0.01,
    confidence: float = 0.95,
    size: RegionSize = RegionSize(),
) -> PixelDecision:
    """The lowest threshold at which at most ``false_reject`` of good parts show any region.

    ``good_maps`` are heat maps of held-out good parts, one after the other; plain arrays (h, w)
    are taken to be as large as their capture. Raises PromiseTooLow for too few of them.
    """
    levels = scores_of([level_of(heat, size) for heat in good_maps], "good maps")
    above = line_for(levels, false_reject, confidence)
    shown = int((levels > above).sum())
    basis = (
        f"At most {percent(false_reject)} of good parts show a region, with "
        f"{percent(confidence)} confidence (of {len(levels)}: {shown})."
    )
    promise = {
        "false_reject": false_reject,
        "confidence": confidence,
        "good_parts": len(levels),
        "good_with_regions": shown,
        "min_area_px": size.area_px,
        "min_length_px": size.length_px,
        "min_width_px": size.width_px,
        "basis": basis,
    }
    return PixelDecision(above, size, promise)


def level_of(heat: Heatmap | Map, size: RegionSize = RegionSize()) -> float:
    """The value from which on a map shows no region of that size: ``map > level`` has none."""
    values, scale = _values_and_scale(heat)
    highest = float(values.max())
    least = max(1, int(np.ceil(size.area_px / (scale[0] * scale[1]) - 1e-9)))
    if least == 1 and not (size.length_px or size.width_px):
        return highest
    levels = np.unique(values)  # a region can vanish at values of the map only
    enough = len(values.ravel()) - least  # below this rank, enough pixels lie above
    if enough < 0:
        return _below_all(levels)
    low, high = -1, int(np.searchsorted(levels, np.partition(values.ravel(), enough)[enough]))
    while low < high:  # the lowest level without a region lies in (low, high]
        middle = (low + high) // 2
        level = _below_all(levels) if middle < 0 else float(levels[middle])
        if _shows(values, level, size, scale):
            low = middle + 1
        else:
            high = middle
    return _below_all(levels) if high < 0 else float(levels[high])


def _shows(values: Map, level: float, size: RegionSize, scale: tuple[float, float]) -> bool:
    inside = (values > np.float32(level)).astype(np.uint8)
    count, found, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    areas = stats[1:count, cv2.CC_STAT_AREA] * (scale[0] * scale[1])
    large = np.flatnonzero(areas >= size.area_px - 1e-9) + 1
    if not (size.length_px or size.width_px):
        return len(large) > 0
    labels = np.asarray(found, dtype=np.int32)
    return any(_long_and_wide(labels, stats[i], int(i), size, scale) for i in large)


def _long_and_wide(
    labels: NDArray[np.int32],
    stats: NDArray[Any],
    number: int,
    size: RegionSize,
    scale: tuple[float, float],
) -> bool:
    x, y, w, h = (int(value) for value in stats[:4])
    rows, columns = np.nonzero(labels[y : y + h, x : x + w] == number)
    corners = np.concatenate([np.stack([columns + i, rows + j], 1) for i in (0, 1) for j in (0, 1)])
    hull = cv2.convexHull((corners * np.array(scale)).astype(np.float32))
    diameter = 2 * cv2.minEnclosingCircle(hull)[1]
    sides = cv2.minAreaRect(hull)[1]
    wide = sides[0] * sides[1] >= size.width_px * max(size.width_px, size.length_px) - 1e-3
    return bool(diameter >= size.length_px - 1e-3 and wide)


def _below_all(levels: Map) -> float:
    return float(np.nextafter(levels[0], np.float32(-np.inf)))


def _values_and_scale(heat: Heatmap | Map) -> tuple[Map, tuple[float, float]]:
    if isinstance(heat, Heatmap):
        values, (h, w) = heat.values, heat.image_size
    else:
        values = np.asarray(heat, dtype=np.float32)
        if values.ndim != 2 or not values.size:
            raise BadLabels(f"a heat map is (h, w), got {values.shape}.")
        h, w = values.shape
    must_be_finite(values, "heat maps")
    return values, (w / values.shape[1], h / values.shape[0])
