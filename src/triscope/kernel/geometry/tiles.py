"""Overlapped windows over a large image, and maps of the windows blended back without seams.

Windows stand on a regular grid; the last of each row and column is shifted inside, so that every
window is whole. An image smaller than a window is continued by reflection on its right and lower
side. In blending, the share of a window falls linearly across what it has in common with its
neighbours; the shares of a pixel sum to 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadSettings

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Plan:
    """Where the windows of one image stand: ``tops`` × ``lefts``, row by row.

    ``size`` is (h, w) of the image; each window is ``tile`` × ``tile`` pixels of it.
    """

    size: tuple[int, int]
    tile: int
    tops: tuple[int, ...]
    lefts: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.tops) * len(self.lefts)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """(top, left) of each window in the order of :func:`cut` and :func:`blend`."""
        return ((top, left) for top in self.tops for left in self.lefts)


def plan(hw: tuple[int, int], tile: int, overlap: int = 0) -> Plan:
    """Windows of ``tile`` pixels that share at least ``overlap`` pixels with their neighbours."""
    if tile < 1:
        raise BadSettings(f"tile={tile}: expected the side of a window in pixels, 1 or more.")
    if not 0 <= overlap < tile:
        raise BadSettings(f"overlap={overlap}: expected 0 <= overlap < tile={tile}, in pixels.")
    h, w = int(hw[0]), int(hw[1])
    return Plan((h, w), tile, _starts(h, tile, overlap), _starts(w, tile, overlap))


def _starts(length: int, tile: int, overlap: int) -> tuple[int, ...]:
    last = max(0, length - tile)
    return (*range(0, last, tile - overlap), last)


def cut(image: NDArray[Any], plan: Plan) -> Iterator[NDArray[Any]]:
    """The windows of an image (h, w[, c]), each (tile, tile[, c]), in the order of the plan."""
    image = whole_windows(image, plan)
    for top, left in plan:
        yield image[top : top + plan.tile, left : left + plan.tile]


def whole_windows(image: NDArray[Any], plan: Plan) -> NDArray[Any]:
    """The image, continued by reflection where it is smaller than a window."""
    if image.shape[:2] != plan.size:
        raise ValueError(f"the plan is for an image of {plan.size}, got {image.shape[:2]}")
    below, right = (max(0, plan.tile - side) for side in plan.size)
    if not (below or right):
        return image
    return np.asarray(cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REFLECT_101))


def blend(maps: Iterable[NDArray[Any]], plan: Plan) -> Floats:
    """One map float32 (h, w) of the image from a map (mh, mw) of any resolution for each window."""
    h, w = (max(side, plan.tile) for side in plan.size)
    whole = np.zeros((h, w), np.float32)
    rows, columns = shares(plan.tops, plan.tile), shares(plan.lefts, plan.tile)
    windows = iter(maps)
    for i, (top, left) in enumerate(plan):
        window = next(windows, None)
        if window is None:
            raise ValueError(f"the plan has {len(plan)} windows, got {i} maps")
        share = np.outer(rows[i // len(columns)], columns[i % len(columns)])
        values = _at_tile_size(window, plan.tile)
        whole[top : top + plan.tile, left : left + plan.tile] += values * share
    if next(windows, None) is not None:
        raise ValueError(f"the plan has {len(plan)} windows, got more maps")
    return whole[: plan.size[0], : plan.size[1]]


def shares(starts: tuple[int, ...], tile: int) -> Floats:
    """Shares of each window along one axis, float32 (windows, tile); those of a pixel sum to 1."""
    weights = np.ones((len(starts), tile))
    for i, (before, after) in enumerate(pairwise(starts)):
        common = before + tile - after
        rise = np.arange(1, common + 1) / (common + 1)
        weights[i + 1, :common] *= rise
        weights[i, tile - common :] *= rise[::-1]
    total = np.zeros(starts[-1] + tile)
    for start, weight in zip(starts, weights, strict=True):
        total[start : start + tile] += weight
    for start, weight in zip(starts, weights, strict=True):
        weight /= total[start : start + tile]
    return weights.astype(np.float32)


def _at_tile_size(window: NDArray[Any], tile: int) -> Floats:
    values = np.asarray(window, np.float32)
    if values.shape == (tile, tile):
        return values
    return np.asarray(cv2.resize(values, (tile, tile), interpolation=cv2.INTER_LINEAR))
