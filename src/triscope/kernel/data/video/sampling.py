"""Which frames a clip is made of: in a row, one a segment, or several views for a test."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


def dense(
    total: int, frames: int, step: int = 1, rng: np.random.Generator | None = None
) -> Numbers:
    """``frames`` numbers ``step`` apart: anywhere with a generator, else in the middle.

    Where the video is too short its last frame is repeated.
    """
    room = max(0, total - 1 - (frames - 1) * step)
    start = int(rng.integers(room + 1)) if rng is not None else room // 2
    return np.minimum(start + step * np.arange(frames), total - 1)


def segments(total: int, count: int, rng: np.random.Generator | None = None) -> Numbers:
    """One frame of each of ``count`` equal parts: anywhere in it, or its middle (TSN, section 3.2).

    A video with fewer frames than parts gives some of them twice.
    """
    edges = np.linspace(0, total, count + 1)
    inside = rng.random(count) if rng is not None else np.full(count, 0.5)
    numbers = np.floor(edges[:-1] + inside * np.diff(edges)).astype(np.int64)
    return np.minimum(numbers, total - 1)


def views(total: int, frames: int, step: int, clips: int) -> list[Numbers]:
    """``clips`` dense clips spread evenly over the video, for a test of several views."""
    room = max(0, total - 1 - (frames - 1) * step)
    starts = np.linspace(0, room, clips) if clips > 1 else np.array([room / 2])
    return [np.minimum(int(s) + step * np.arange(frames), total - 1) for s in starts]


def crops(size: tuple[int, int], side: int, count: int) -> list[tuple[int, int]]:
    """Top left corners (y, x) of ``count`` squares along the longer side; 1 is the middle."""
    h, w = size
    room = (max(0, h - side), max(0, w - side))
    shares = np.linspace(0, 1, count) if count > 1 else np.array([0.5])
    if w >= h:
        return [(room[0] // 2, round(room[1] * float(share))) for share in shares]
    return [(round(room[0] * float(share)), room[1] // 2) for share in shares]
