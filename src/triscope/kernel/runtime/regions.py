"""From a heat map to findings: regions above the pixel threshold, measured in px and mm."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.kernel.results import Finding, Heatmap, Zones

MAX_FINDINGS = 200
MAX_OUTLINE = 64


def find_regions(heat: Heatmap, zones: Zones, mm_per_px: float | None) -> tuple[Finding, ...]:
    """Connected regions (8 neighbours) above ``zones.pixel_above``, the strongest first.

    Boxes, outlines and measures are in pixels of the capture; a map pixel counts as the area that
    it covers there. At most 200 findings; length and width are those of the tightest rectangle.
    """
    if zones.pixel_above is None:
        return ()
    above = (heat.values > zones.pixel_above).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    scale = _scale(heat)
    found = []
    for region in range(1, count):
        area = float(stats[region, cv2.CC_STAT_AREA]) * scale[0] * scale[1]
        if area >= zones.min_area_px:
            found.append(_finding(heat, labels, stats[region], region, area, scale, mm_per_px))
    return tuple(sorted(found, key=lambda finding: -finding.score)[:MAX_FINDINGS])


def _scale(heat: Heatmap) -> tuple[float, float]:
    (map_h, map_w), (h, w) = heat.values.shape, heat.image_size
    return w / map_w, h / map_h


def _finding(
    heat: Heatmap,
    labels: NDArray[np.int32],
    stats: NDArray[np.int32],
    region: int,
    area_px: float,
    scale: tuple[float, float],
    mm_per_px: float | None,
) -> Finding:
    x, y, w, h = (int(value) for value in stats[:4])
    inside = labels[y : y + h, x : x + w] == region
    score = float(heat.values[y : y + h, x : x + w][inside].max())
    outline = _outline(inside, (x, y), scale)
    length, width = _length_and_width(outline)
    measures = {"area_px": area_px, "length_px": length, "width_px": width}
    if mm_per_px:
        measures |= {
            "area_mm2": area_px * mm_per_px**2,
            "length_mm": length * mm_per_px,
            "width_mm": width * mm_per_px,
        }
    box = (x * scale[0], y * scale[1], (x + w) * scale[0], (y + h) * scale[1])
    measures = {name: round(value, 4) for name, value in measures.items()}
    points = _simplify(outline)
    return Finding("anomaly", score, box=box, outline=points, measures=measures)


def _outline(
    inside: NDArray[np.bool_], corner: tuple[int, int], scale: tuple[float, float]
) -> NDArray[np.float32]:
    """The outer contour in pixels of the capture, through pixel edges: (n, 2) of (x, y)."""
    twice = np.repeat(np.repeat(inside, 2, axis=0), 2, axis=1).astype(np.uint8)
    contours, _ = cv2.findContours(twice, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    points = max(contours, key=len)[:, 0, :].astype(np.float32)
    # Pixel i of the doubled mask spans [i/2, (i+1)/2): odd pixels end a cell, even ones begin it.
    edges = (points + points % 2) / 2
    return np.asarray((edges + np.float32(corner)) * np.float32(scale), dtype=np.float32)


def _length_and_width(outline: NDArray[np.float32]) -> tuple[float, float]:
    sides = cv2.minAreaRect(outline)[1]
    return float(max(sides)), float(min(sides))


def _simplify(outline: NDArray[np.float32]) -> tuple[tuple[float, float], ...]:
    points, tolerance = outline, 0.5
    while len(points) > MAX_OUTLINE:
        points = cv2.approxPolyDP(outline[:, None], tolerance, closed=True)[:, 0]
        tolerance *= 1.6
    return tuple((round(float(x), 2), round(float(y), 2)) for x, y in points)
