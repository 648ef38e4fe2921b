"""Steps of everything mode that need no network: grids, crops, scores, boxes, small regions.

The rules are those of the published generator (arXiv:2304.02643 section 4 and appendix B); NumPy
and OpenCV only.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Literal

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Crop = tuple[int, int, int, int]  # xyxy, end-exclusive

EDGE_PX = 20.0  # a box this near to an edge of its crop is taken as cut off by it


def point_grid(per_side: int) -> NDArray[np.float64]:
    """Centres (x, y) of a regular grid over the unit square, rows first, (per_side**2, 2)."""
    half = 1 / (2 * per_side)
    steps = np.linspace(half, 1 - half, per_side)
    return np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)


def layer_grids(per_side: int, layers: int, downscale: int) -> list[NDArray[np.float64]]:
    """The grid of the image and of the crops of each layer, thinner by ``downscale`` a layer."""
    return [point_grid(int(per_side / downscale**layer)) for layer in range(layers + 1)]


def crop_boxes(
    image_hw: tuple[int, int], layers: int, overlap: float
) -> tuple[list[Crop], list[int]]:
    """The image and its crops, 2x2 in the first layer, 4x4 in the second; and each one's layer.

    ``overlap`` is the overlap of the first layer's crops as a share of the shorter side.
    """
    crops: list[Crop] = [(0, 0, image_hw[1], image_hw[0])]
    which = [0]
    for layer in range(1, layers + 1):
        per_side = 2**layer
        shared = int(overlap * min(image_hw) * (2 / per_side))
        columns = _intervals(image_hw[1], per_side, shared)
        rows = _intervals(image_hw[0], per_side, shared)
        for (x0, x1), (y0, y1) in product(columns, rows):
            crops.append((x0, y0, x1, y1))
            which.append(layer)
    return crops, which


def _intervals(length: int, count: int, shared: int) -> list[tuple[int, int]]:
    each = math.ceil((shared * (count - 1) + length) / count)
    starts = [(each - shared) * i for i in range(count)]
    return [(start, min(start + each, length)) for start in starts]


def stability_score(logits: Floats, offset: float = 1.0, threshold: float = 0.0) -> np.float32:
    """IoU of the masks at ``threshold`` raised and lowered by ``offset``; nan if both are empty."""
    inner = np.count_nonzero(logits > threshold + offset)
    outer = np.count_nonzero(logits > threshold - offset)
    return np.float32(inner) / np.float32(outer) if outer else np.float32(np.nan)


def box_of(mask: Bools) -> Crop:
    """The box xyxy of a mask (h, w) from its first to its last pixel, so one less than its width.

    Four zeros for an empty mask, as published.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return (0, 0, 0, 0)
    return (int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1]))


def near_crop_edge(
    boxes: ArrayLike, crop: Crop, image_hw: tuple[int, int], within: float = EDGE_PX
) -> Bools:
    """Which boxes (n, 4), in pixels of the image, touch an edge of the crop inside the image."""
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    near = np.abs(boxes - np.array(crop)) <= within
    whole = np.abs(boxes - np.array([0, 0, image_hw[1], image_hw[0]])) <= within
    return np.asarray((near & ~whole).any(axis=1))


def without_small_regions(
    mask: Bools, below_px: float, what: Literal["holes", "islands"]
) -> tuple[Bools, bool]:
    """Fill holes, or drop islands, of fewer pixels (8-connected); and whether anything changed.

    If all islands are small, the largest stays.
    """
    inside = mask if what == "islands" else ~mask
    count, regions, stats, _ = cv2.connectedComponentsWithStats(
        inside.view(np.uint8), connectivity=8
    )
    sizes = stats[1:, cv2.CC_STAT_AREA]
    small = sizes < below_px
    if not small.any():
        return mask, False
    stays = np.zeros(count, bool)  # whether pixels of this region are in the answer
    if what == "holes":
        stays[0] = True
        stays[1:] = small
    else:
        stays[1:] = ~small
        if small.all():
            stays[1 + int(sizes.argmax())] = True
    return stays[regions], True


def nms(boxes: ArrayLike, scores: ArrayLike, above: float) -> NDArray[np.intp]:
    """Indices of the boxes (n, 4) that stay, best score first; the earlier wins a tie.

    A box goes if its IoU with a better one that stays exceeds ``above``. Single precision, so that
    decisions at the threshold fall as in torchvision.
    """
    corners = np.asarray(boxes, np.float32).reshape(-1, 4)
    order = np.argsort(-np.asarray(scores, np.float32), kind="stable")
    x0, y0, x1, y1 = corners[order].T
    areas = (x1 - x0) * (y1 - y0)
    alive = np.ones(len(order), bool)
    limit = np.float64(above)
    for i in range(len(order)):
        if not alive[i]:
            continue
        rest = i + 1 + np.flatnonzero(alive[i + 1 :])
        wide = np.maximum(np.minimum(x1[i], x1[rest]) - np.maximum(x0[i], x0[rest]), 0)
        tall = np.maximum(np.minimum(y1[i], y1[rest]) - np.maximum(y0[i], y0[rest]), 0)
        shared = wide * tall
        union = areas[i] + areas[rest] - shared
        iou = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
        alive[rest[iou.astype(np.float64) > limit]] = False
    return order[alive]
