"""Boxes: float (n, 4), xyxy in pixels, end-exclusive: (0, 0, w, h) is the whole image.

A box counts the edges of pixels, a point their centres: pixel (x, y) is the box
(x, y, x + 1, y + 1). Edges therefore scale with the image, while a centre p becomes
(p + 0.5) * scale - 0.5.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def as_boxes(boxes: ArrayLike) -> Floats:
    """Boxes as float64 (n, 4); an empty list is (0, 4)."""
    found = np.asarray(boxes, np.float64)
    if found.size == 0:
        return np.zeros((0, 4))
    if found.shape[-1:] != (4,):
        raise ValueError(f"boxes are (n, 4) xyxy, got shape {found.shape}")
    return found.reshape(-1, 4)


def areas(boxes: ArrayLike) -> Floats:
    """Area of each box in px², float64 (n,); 0 where the corners are in the wrong order."""
    x0, y0, x1, y1 = as_boxes(boxes).T
    return np.maximum(x1 - x0, 0) * np.maximum(y1 - y0, 0)


def intersections(a: ArrayLike, b: ArrayLike) -> Floats:
    """Common area of each box of ``a`` with each of ``b``, float64 (n, m)."""
    first, second = as_boxes(a)[:, None], as_boxes(b)[None]
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., 2:], second[..., 2:])
    return np.asarray(np.prod(np.maximum(high - low, 0), axis=-1))


def iou(a: ArrayLike, b: ArrayLike) -> Floats:
    """Intersection over union of each box of ``a`` with each of ``b``, float64 (n, m).

    Two boxes without area have IoU 0.
    """
    common = intersections(a, b)
    union = areas(a)[:, None] + areas(b)[None] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def clip(boxes: ArrayLike, hw: tuple[int, int]) -> Floats:
    """Boxes cut to an image of size (h, w)."""
    h, w = hw
    return np.clip(as_boxes(boxes), 0, [w, h, w, h])


def scale(boxes: ArrayLike, from_hw: tuple[int, int], to_hw: tuple[int, int]) -> Floats:
    """Boxes of an image of one size in the same image of another size."""
    y, x = to_hw[0] / from_hw[0], to_hw[1] / from_hw[1]
    return as_boxes(boxes) * [x, y, x, y]


def around(points: ArrayLike) -> tuple[float, float, float, float]:
    """The box of the pixels at points (n, 2): half a pixel beyond the outermost centres."""
    found = np.asarray(points, np.float64).reshape(-1, 2)
    if not len(found):
        raise ValueError("no points: a box needs at least one")
    x0, y0 = found.min(axis=0) - 0.5
    x1, y1 = found.max(axis=0) + 0.5
    return float(x0), float(y0), float(x1), float(y1)


def from_coco(boxes: ArrayLike) -> Floats:
    """COCO's (x, y, width, height) as xyxy."""
    found = as_boxes(boxes)
    return np.concatenate([found[:, :2], found[:, :2] + found[:, 2:]], axis=1)


def to_coco(boxes: ArrayLike) -> Floats:
    """xyxy as COCO's (x, y, width, height)."""
    found = as_boxes(boxes)
    return np.concatenate([found[:, :2], found[:, 2:] - found[:, :2]], axis=1)


def from_voc(boxes: ArrayLike) -> Floats:
    """VOC's corners, pixels counted from 1 and both inside, as xyxy."""
    return as_boxes(boxes) - np.array([1, 1, 0, 0])


def to_voc(boxes: ArrayLike) -> Floats:
    """xyxy as VOC's corners, pixels counted from 1 and both inside."""
    return as_boxes(boxes) + np.array([1, 1, 0, 0])


def from_yolo(boxes: ArrayLike, hw: tuple[int, int]) -> Floats:
    """YOLO's (centre x, centre y, width, height), shares of the image, as xyxy in pixels."""
    h, w = hw
    found = as_boxes(boxes) * [w, h, w, h]
    half = found[:, 2:] / 2
    return np.concatenate([found[:, :2] - half, found[:, :2] + half], axis=1)


def to_yolo(boxes: ArrayLike, hw: tuple[int, int]) -> Floats:
    """xyxy in pixels as YOLO's (centre x, centre y, width, height), shares of the image."""
    h, w = hw
    found = as_boxes(boxes) / [w, h, w, h]
    low, high = found[:, :2], found[:, 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=1)
