"""Edges from everything mode, arXiv:2304.02643 section 7.2 and appendix D.2.

A 16x16 grid gives 768 masks; no filter but NMS. Of each mask the Sobel gradient of its probability
is taken where it meets the outer boundary of the mask; the largest over all masks, scaled to
[0, 1], thinned across the edge, is the edge map.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.segment import grid
from triscope.segment.everything import GridDecoder
from triscope.segment.frame import Frame, as_rgb

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
POINTS, NMS = 16, 0.7


def edge_map(
    decoder: GridDecoder, image: NDArray[np.uint8], points_per_side: int = POINTS
) -> Floats:
    """Strength of edges float32 (h, w) in [0, 1], thinned."""
    rgb = as_rgb(image)
    strongest = np.zeros(rgb.shape[:2], np.float32)
    for logits in _kept(decoder, rgb, points_per_side):
        np.maximum(strongest, mask_edges(logits), out=strongest)
    low, high = float(strongest.min()), float(strongest.max())
    return thinned((strongest - low) / max(high - low, 1e-12))


def mask_edges(logits: Floats) -> Floats:
    """Gradient of one mask's probability on its outer boundary, 0 elsewhere."""
    p = np.asarray(1 / (1 + np.exp(-logits)), np.float32)
    dx, dy = cv2.Sobel(p, cv2.CV_32F, 1, 0, ksize=3), cv2.Sobel(p, cv2.CV_32F, 0, 1, ksize=3)
    inside = (logits > 0).astype(np.uint8)
    outer = cv2.dilate(inside, np.ones((3, 3), np.uint8)) > inside
    return np.asarray(np.hypot(dx, dy) * outer, np.float32)


def thinned(strength: Floats) -> Floats:
    """Only pixels that are a maximum across their edge (Canny's suppression) stay.

    The direction is that of the gradient of the smoothed map.
    """
    smooth = cv2.GaussianBlur(strength, (0, 0), 1.5)
    # Across a ridge the second derivative is largest: its direction from the Hessian.
    xx, yy = cv2.Sobel(smooth, cv2.CV_32F, 2, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 2)
    xy = cv2.Sobel(smooth, cv2.CV_32F, 1, 1)
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)
    flip = (xx + yy) > 0  # in a valley the other axis has the larger absolute curvature
    angle = np.where(flip, angle, angle + np.pi / 2)
    dx, dy = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    h, w = strength.shape
    x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    ahead = cv2.remap(strength, x + dx, y + dy, cv2.INTER_LINEAR)
    behind = cv2.remap(strength, x - dx, y - dy, cv2.INTER_LINEAR)
    stays = (strength >= ahead) & (strength >= behind)
    return np.asarray(strength * stays, np.float32)


def _kept(decoder: GridDecoder, rgb: NDArray[np.uint8], points_per_side: int) -> Iterator[Floats]:
    """Logits (h, w) of the masks that box NMS leaves; drawn one at a time."""
    hw = (rgb.shape[0], rgb.shape[1])
    frame = Frame(hw, decoder.side)
    decoder.look(frame.pixels(rgb))
    points = grid.point_grid(points_per_side) * [hw[1], hw[0]]
    lows, scores, boxes = [], [], []
    for some in decoder.survivors(frame.points_in(points), 0.0):
        for iou, low in zip(some.iou, some.logits, strict=True):
            lows.append(low.astype(np.float16))
            scores.append(float(iou))
            boxes.append(grid.box_of(frame.logits_out(low) > 0))
    for i in grid.nms(boxes, scores, NMS):
        yield frame.logits_out(lows[i].astype(np.float32))
