"""What clips are cut from, whatever holds the frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]  # (h, w, 3), RGB
USUAL_RATE = 25.0  # frames a second where nothing has times


class Frames(Protocol):
    """What clips are cut from: a file or a folder of pictures."""

    name: str
    times_s: NDArray[np.float64]  # (n,), of each frame from the first one on

    def __len__(self) -> int: ...

    def read(self, numbers: Sequence[int], short: int = 0) -> NDArray[np.uint8]:
        """Frames by number as (n, h, w, 3); ``short`` > 0 resizes the shorter side to that."""

    def walk(self, short: int = 0) -> Iterator[tuple[float, Frame]]:
        """All frames that can be decoded, in order, with their times."""


def scaled(size: tuple[int, int], short: int) -> tuple[int, int]:
    """The size (h, w) with its shorter side at ``short``, even sides; 0 keeps it."""
    h, w = size
    if not short or min(h, w) == short:
        return h, w
    factor = short / min(h, w)
    return max(short, round(h * factor)), max(short, round(w * factor))
