"""Boxes or heat maps of an inspection become masks, by prompting.

A box is a prompt as it is. Of a heat map each region above the threshold gives a prompt: its box
with some room, and the hottest point.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadPrompt
from triscope.segment.answers import Prompted

Bools = NDArray[np.bool_]
Box = tuple[float, float, float, float]
ROOM = 0.15  # of its side that the box of a hot region is grown by


@dataclass(frozen=True, eq=False)
class Refined:
    """One mask with the prompt that it came from."""

    mask: Bools
    box: Box
    predicted_iou: float


def from_boxes(predictor: Prompted, boxes: Sequence[Sequence[float]]) -> Iterator[Refined]:
    """A mask for each box xyxy of the image in use; twice, the second time with the first mask."""
    for box in boxes:
        inside = clipped(box, predictor.embedding.frame.image_hw)
        first = predictor.predict(box=inside)
        best = first.best
        again = predictor.predict(box=inside, mask=first.logits[best], multimask=False)
        # The second answer is taken where the network itself trusts it as much.
        if again.iou[0] >= first.iou[best]:
            yield Refined(again.masks[0], inside, float(again.iou[0]))
        else:
            yield Refined(first.masks[best], inside, float(first.iou[best]))


def from_heat(
    predictor: Prompted, heat: NDArray[Any], above: float, min_area_px: int = 4
) -> Iterator[Refined]:
    """A mask for each region of the heat map above the threshold; the map may be smaller."""
    hw = predictor.embedding.frame.image_hw
    size_wh = (hw[1], hw[0])
    full = cv2.resize(np.asarray(heat, np.float32), size_wh, interpolation=cv2.INTER_LINEAR)
    regions = (full > above).astype(np.uint8)
    count, numbers, stats, _ = cv2.connectedComponentsWithStats(regions, connectivity=8)
    for region in range(1, count):
        x, y, w, h, area = (int(v) for v in stats[region])
        if area < min_area_px:
            continue
        room = (ROOM * w + 1, ROOM * h + 1)
        box = clipped((x - room[0], y - room[1], x + w + room[0], y + h + room[1]), hw)
        hot = np.where(numbers == region, full, -np.inf)
        row, column = np.unravel_index(int(hot.argmax()), hot.shape)
        found = predictor.predict([[float(column), float(row)]], [1], box=box)
        yield Refined(found.masks[found.best], box, float(found.iou[found.best]))


def joined(found: Sequence[Refined], hw: tuple[int, int]) -> Bools:
    """All masks as one."""
    whole = np.zeros(hw, bool)
    for one in found:
        whole |= one.mask
    return whole


def clipped(box: Sequence[float], hw: tuple[int, int]) -> Box:
    """The box inside the image; raises BadPrompt where nothing of it is inside."""
    x0, y0, x1, y1 = (float(v) for v in box)
    inside = (max(x0, 0.0), max(y0, 0.0), min(x1, float(hw[1])), min(y1, float(hw[0])))
    if not (inside[0] < inside[2] and inside[1] < inside[3]):
        raise BadPrompt(
            f"box ({x0:g}, {y0:g}, {x1:g}, {y1:g}) has nothing inside the image of "
            f"{hw[1]}x{hw[0]} (width x height)."
        )
    return inside
