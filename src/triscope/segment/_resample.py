"""Antialiased bilinear resizing of bytes, exact to the bit with Pillow's.

The published networks were trained behind Pillow's resize: a triangle filter that widens when it
shrinks, columns first, then rows, each pass in fixed point with 22 bits and rounded to bytes.
OpenCV's INTER_LINEAR does not widen, INTER_AREA is another filter, and Pillow is not a dependency
of the runtime.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BITS = 22  # of the fixed-point weights: 8 bits of pixel and 2 of headroom remain of 32
BAND_ROWS = 64  # rows handled at a time, so that a band stays in the cache

Bytes = NDArray[np.uint8]


def resize(image: Bytes, size_hw: tuple[int, int]) -> Bytes:
    """``image`` uint8 (h, w, c) at another size."""
    if image.shape[1] != size_hw[1]:
        image = _columns(image, size_hw[1])
    if image.shape[0] != size_hw[0]:
        image = _columns(image.transpose(1, 0, 2), size_hw[0]).transpose(1, 0, 2)
    return np.ascontiguousarray(image)


def _columns(image: Bytes, width: int) -> Bytes:
    """The second axis resampled."""
    index, weights = taps(image.shape[1], width)
    out = np.empty((image.shape[0], width, image.shape[2]), np.uint8)
    for start in range(0, image.shape[0], BAND_ROWS):
        band = image[start : start + BAND_ROWS].astype(np.int32)
        total = np.full((band.shape[0], width, band.shape[2]), 1 << (BITS - 1), np.int32)
        for column, weight in zip(index, weights, strict=True):
            total += band[:, column] * weight[:, None]
        out[start : start + BAND_ROWS] = np.clip(total >> BITS, 0, 255)
    return out


def taps(length: int, out: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Source positions and fixed-point weights, each (taps, out)."""
    scale = length / out
    support = max(scale, 1.0)  # half the width of the triangle
    centre = (np.arange(out) + 0.5) * scale
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + support + 0.5).astype(np.int64), length)
    index = first + np.arange(int((last - first).max()))[:, None]
    weights = np.maximum(1 - np.abs((index - centre + 0.5) * (1.0 / support)), 0)
    weights = np.where(index < last, weights, 0)
    weights /= weights.sum(axis=0)
    fixed = (weights * (1 << BITS) + 0.5).astype(np.int32)
    return np.minimum(index, length - 1), fixed
