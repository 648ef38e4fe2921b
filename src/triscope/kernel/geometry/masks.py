"""Masks bool (h, w), and polygons over them: points (x, y), pixel centres at integers.

A pixel belongs to a polygon if its centre lies inside (even-odd rule, so that an inner ring is a
hole). Outlines of a mask run along the edges of its pixels, at half integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]


def area(mask: Bools) -> int:
    """How many pixels are set."""
    return int(np.count_nonzero(mask))


def box_of(mask: Bools) -> Box | None:
    """The smallest box xyxy, end-exclusive, that holds all set pixels; None for an empty mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def from_polygons(polygons: Sequence[ArrayLike], hw: tuple[int, int]) -> Bools:
    """The mask of rings of points (n, 2), filled together by the even-odd rule.

    Every edge toggles the pixels on its right, row by row; what is toggled oddly is inside.
    """
    h, w = hw
    toggles = np.zeros((h, w + 1), np.uint8)
    for ring in polygons:
        rows, columns = _crossings(np.asarray(ring, np.float64).reshape(-1, 2), h)
        starts = np.clip(np.ceil(columns), 0, w).astype(np.intp)
        np.add.at(toggles, (rows, starts), 1)  # wraps at 256, which keeps odd and even
    return np.asarray(np.add.accumulate(toggles[:, :w], axis=1, dtype=np.uint8) % 2 == 1)


def _crossings(ring: Floats, h: int) -> tuple[NDArray[np.intp], Floats]:
    """Where the edges of a ring cross the centre lines of rows: (rows, x of the crossing)."""
    start, end = ring, np.roll(ring, -1, axis=0)
    upper = np.where((start[:, 1] <= end[:, 1])[:, None], start, end)
    lower = np.where((start[:, 1] <= end[:, 1])[:, None], end, start)
    first = np.clip(np.ceil(upper[:, 1]), 0, h).astype(np.intp)
    last = np.clip(np.ceil(lower[:, 1]), 0, h).astype(np.intp)
    count = last - first
    edge = np.repeat(np.arange(len(ring)), count)
    rows = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    low, high = upper[edge], lower[edge]
    share = (rows - low[:, 1]) / (high[:, 1] - low[:, 1])
    return rows, low[:, 0] + share * (high[:, 0] - low[:, 0])


def to_polygons(mask: Bools) -> list[Floats]:
    """Outlines of a mask as rings float64 (n, 2); holes are rings too.

    :func:`from_polygons` gives exactly the mask back.
    """
    starts, ends = _edges(mask)
    leaving: dict[int, list[int]] = {}
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        leaving.setdefault(start, []).append(end)
    width = mask.shape[1] + 1
    rings = []
    for first in starts.tolist():
        if not leaving.get(first):
            continue
        ring, here = [], first
        while leaving.get(here):
            ring.append(here)
            here = leaving[here].pop()
        corners = np.array(ring)
        points = np.stack([corners % width, corners // width], axis=1) - 0.5
        rings.append(_without_straight(points))
    return rings


def _edges(mask: Bools) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Edges between set and unset pixels, walked with the mask on the right: corner numbers."""
    padded = np.pad(mask, 1).astype(np.int8)
    width = mask.shape[1] + 1
    down = np.diff(padded, axis=0)[:, 1:-1]  # +1: the mask begins below this edge
    across = np.diff(padded, axis=1)[1:-1]  # +1: the mask begins on the right of this edge
    starts, ends = [], []
    for change, sign, step in (
        (down, 1, 1),
        (down, -1, -1),
        (across, 1, -width),
        (across, -1, width),
    ):
        rows, columns = np.nonzero(change == sign)
        corner = rows * width + columns
        from_far = step < 0
        starts.append(corner - step if from_far else corner)
        ends.append(corner if from_far else corner + step)
    return np.concatenate(starts), np.concatenate(ends)


def _without_straight(ring: Floats) -> Floats:
    """Corners only: points between two edges of one direction are left out."""
    before = ring - np.roll(ring, 1, axis=0)
    after = np.roll(ring, -1, axis=0) - ring
    return ring[(before != after).any(axis=1)]


@dataclass(frozen=True, eq=False)
class Polygons:
    """A mask kept as rings, filled together or, as COCO means them, one by one."""

    rings: tuple[Floats, ...]
    size: tuple[int, int]
    together: bool = True

    def decode(self) -> Bools:
        """The mask, bool (h, w)."""
        if self.together:
            return from_polygons(self.rings, self.size)
        whole = np.zeros(self.size, np.bool_)
        for ring in self.rings:
            whole |= from_polygons([ring], self.size)
        return whole


@dataclass(frozen=True, eq=False)
class Union:
    """A mask kept as several, drawn and joined when it is needed."""

    parts: tuple[object, ...]
    size: tuple[int, int]

    def decode(self) -> Bools:
        """The mask, bool (h, w)."""
        whole = np.zeros(self.size, np.bool_)
        for part in self.parts:
            whole |= part.decode()  # type: ignore[attr-defined]
        return whole
