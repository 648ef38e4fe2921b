"""A histogram of float32 numbers whose bins adapt to the data without a first look at it.

Bins follow the bits of the numbers: each octave, from the one of the largest magnitude seen down
to 13 octaves below it, is cut into equally many bins, and what is nearer to zero into as many
again, all of one width. The cut is the finest at which the span from the lowest to the highest
number seen fits into 2^18 bins: at worst, with numbers of both signs, 8192 bins an octave, so that
no bin is wider than 1/8192 of its number (or of the largest magnitude times 2^-13). A narrow span
gets every single number its own bin.

All bins are dyadic intervals, so bins of another histogram, or from before the span grew, lie
whole inside the present ones: the result depends on the numbers alone, not on their order, nor on
how they were divided among histograms that were merged. Each bin knows its lowest and highest
number; where they are equal it holds ties, and hides nothing.
"""

from __future__ import annotations

from copy import copy

import numpy as np
from numpy.typing import NDArray

BITS = 18
OCTAVES = 13
MANTISSA = 23  # bits of float32's fraction

Values = NDArray[np.float32]
Places = NDArray[np.intp]


class Histogram:
    """Several rows of weights over the same bins. Memory: 2 MB a row, however much is added."""

    def __init__(self, rows: int, bits: int = BITS) -> None:
        self.bits = bits
        self.span: tuple[float, float] | None = None  # lowest and highest number seen
        self.floor = 0  # below 2^floor all bins have one width
        self.shift = 0  # neighbouring keys in a bin: 2^shift
        self.first = 0  # key >> shift of the first bin
        self.counts = np.zeros((rows, 0))
        self.low, self.high = np.zeros(0, np.float32), np.zeros(0, np.float32)

    def reach(self, lowest: float, highest: float) -> None:
        """Make room for numbers from ``lowest`` to ``highest``; the bins may become wider."""
        if self.span is not None:
            lowest, highest = min(lowest, self.span[0]), max(highest, self.span[1])
        if (lowest, highest) == self.span:
            return
        before = copy(self)
        self.span = (lowest, highest)
        self.floor = _floor(max(abs(lowest), abs(highest)))
        self.shift, self.first, size = self._cut(lowest, highest)
        self.counts = np.zeros((len(before.counts), size))
        self.low = np.full(size, np.inf, np.float32)
        self.high = np.full(size, -np.inf, np.float32)
        if before.span is not None:
            self._take(before)

    def places(self, values: Values) -> Places:
        """The bin of each number; ``reach`` must have seen the lowest and highest of them."""
        return (_keys(values, self.floor) >> self.shift).astype(np.intp) - self.first

    def saw(self, places: Places, values: Values) -> None:
        """Widen what the bins know of their lowest and highest numbers."""
        if self.shift or self.floor > _exponent_of_smallest(values):
            np.minimum.at(self.low, places, values)
            np.maximum.at(self.high, places, values)
        else:
            self.low[places] = self.high[places] = values  # one number a bin

    def add(self, row: int, counts: NDArray[np.floating] | NDArray[np.intp]) -> None:
        """Add weights per bin, as counted over ``places``."""
        self.counts[row, : len(counts)] += counts

    def merged(self, other: Histogram) -> Histogram:
        """The histogram of both; neither is changed."""
        both = Histogram(len(self.counts), self.bits)
        parts = [part for part in (self, other) if part.span is not None]
        for part in parts:
            both.reach(*part.span)  # type: ignore[misc]
        for part in parts:
            both._take(part)
        return both

    def used(self) -> tuple[Values, Values, NDArray[np.float64]]:
        """Lowest and highest number (n,) and weights (rows, n) of each bin that is not empty."""
        where = np.flatnonzero(self.low <= self.high)
        return self.low[where], self.high[where], self.counts[:, where]

    def _cut(self, lowest: float, highest: float) -> tuple[int, int, int]:
        """Shift, first bin and number of bins."""
        ends = _keys(np.array([lowest, highest], np.float32), self.floor)
        first, last, shift = int(ends[0]), int(ends[1]), 0
        while (last >> shift) - (first >> shift) >= 1 << self.bits:
            shift += 1
        return shift, first >> shift, (last >> shift) - (first >> shift) + 1

    def _take(self, other: Histogram) -> None:
        """Add the bins of a histogram that are nowhere wider than these."""
        low, high, counts = other.used()
        places = self.places(low)
        np.minimum.at(self.low, places, low)
        np.maximum.at(self.high, places, high)
        for row, weights in enumerate(counts):
            self.counts[row] += np.bincount(places, weights, minlength=self.counts.shape[1])


def _floor(largest: float) -> int:
    exponent = int(np.frexp(np.float32(largest))[1]) - 1 if largest else -100
    return max(exponent - OCTAVES, -100)


def _exponent_of_smallest(values: Values) -> int:
    smallest = float(np.abs(values).min())
    return int(np.frexp(smallest)[1]) - 1 if smallest else -200


def _keys(values: Values, floor: int) -> NDArray[np.int32]:
    """Integers in the order of the numbers: bits above 2^floor, even steps of 2^(floor-23) below.

    Numbers from 2^floor on have a key each; -0.0 must not occur.
    """
    sizes = np.abs(values)
    keys = sizes.view(np.int32) - np.int32((floor + 126) << MANTISSA)
    small = sizes < np.float32(2.0**floor)
    if small.any():
        steps = np.where(small, sizes, np.float32(0)) * np.float32(2.0 ** (MANTISSA - floor))
        keys = np.where(small, steps.astype(np.int32), keys)
    negative = values < 0
    return np.where(negative, ~keys, keys) if negative.any() else keys
