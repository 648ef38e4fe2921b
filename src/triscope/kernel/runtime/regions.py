"""From a heat map to findings: regions above the pixel threshold, measured in px and mm."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.kernel.results import Finding, Heatmap, Zones

MAX_FINDINGS = 200
MAX_OUTLINE = 64


def find_regions(heat: Heatmap, zones: Zones, mm_per_px: float | None) -> tuple[Finding, ...]:
    """The regions of a heat map above ``zones.pixel_above``; none where it is not known."""
    if zones.pixel_above is None:
        return ()
    return regions_of(
        heat.values,
        zones.pixel_above,
        heat.image_size,
        min_area_px=zones.min_area_px,
        min_length_px=zones.min_length_px,
        min_width_px=zones.min_width_px,
        mm_per_px=mm_per_px,
    )


def regions_of(
    values: NDArray[np.float32],
    above: float,
    image_size: tuple[int, int],
    *,
    label: str = "anomaly",
    min_area_px: float = 0.0,
    min_length_px: float = 0.0,
    min_width_px: float = 0.0,
    mm_per_px: float | None = None,
) -> tuple[Finding, ...]:
    """Connected regions (8 neighbours) of a map (h, w) above a value, the strongest first.

    Boxes, outlines and measures are in pixels of the capture, whose size is ``image_size``; a map
    pixel counts as the area that it covers there. The score is the region's highest value; length
    and width are those of the tightest rectangle. At most 200 regions.
    """
    inside = (values > above).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    scale = (image_size[1] / values.shape[1], image_size[0] / values.shape[0])
    found = []
    for number in range(1, count):
        area = float(stats[number, cv2.CC_STAT_AREA]) * scale[0] * scale[1]
        if area >= min_area_px:
            x, y, w, h = (int(value) for value in stats[number][:4])
            cells = np.asarray(labels[y : y + h, x : x + w] == number)
            score = float(values[y : y + h, x : x + w][cells].max())
            finding = _finding(label, score, cells, (x, y), area, scale, mm_per_px)
            measures = finding.measures
            if measures["length_px"] >= min_length_px and measures["width_px"] >= min_width_px:
                found.append(finding)
    return tuple(sorted(found, key=lambda finding: -finding.score)[:MAX_FINDINGS])


def _finding(
    label: str,
    score: float,
    cells: NDArray[np.bool_],
    corner: tuple[int, int],
    area_px: float,
    scale: tuple[float, float],
    mm_per_px: float | None,
) -> Finding:
    (x, y), (h, w) = corner, cells.shape
    outline = _outline(cells, corner, scale)
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
    return Finding(label, score, box=box, outline=_simplify(outline), measures=measures)


def _outline(
    inside: NDArray[np.bool_], corner: tuple[int, int], scale: tuple[float, float]
) -> NDArray[np.float32]:
    """The outer contour in pixels of the capture, through pixel edges: (n, 2) of (x, y)."""
    twice = np.repeat(np.repeat(inside, 2, axis=0), 2, axis=1).astype(np.uint8)
    contours, _ = cv2.findContours(twice, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    points = max(contours, key=len)[:, 0, :].astype(np.float32)
    # Pixel i of the doubled mask spans [i/2, (i+1)/2): odd pixels end a cell, even ones begin it.
    edges = (points + points % 2) / 2
    return np.asarray((edges + np.array(corner)) * np.array(scale), dtype=np.float32)


def _length_and_width(outline: NDArray[np.float32]) -> tuple[float, float]:
    sides = cv2.minAreaRect(outline)[1]
    return float(max(sides)), float(min(sides))


def _simplify(outline: NDArray[np.float32]) -> tuple[tuple[float, float], ...]:
    points, tolerance = outline, 0.5
    while len(points) > MAX_OUTLINE:
        fewer = cv2.approxPolyDP(outline[:, None], tolerance, closed=True)[:, 0]
        points = np.asarray(fewer, dtype=np.float32)
        tolerance *= 1.6
    return tuple((round(float(x), 2), round(float(y), 2)) for x, y in points)
