"""A histogram of float32 numbers whose bins adapt to the data without a first look at it.

Bins follow the bits of the numbers: each octave, from the one of the largest magnitude seen down
to 13 octaves below it, is cut into equally many bins, and what is nearer to zero into as many
again, all of one width. The cut is the finest at which the span from the lowest to the highest
number seen fits into 2^17 bins: at worst, with numbers of both signs, 4096 bins an octave, so that
no bin is wider than 1/4096 of its number (or of the largest magnitude times 2^-13). A narrow span
gets every single number its own bin.

All bins are dyadic intervals, so bins of another histogram, or from before the span grew, lie
whole inside the present ones: the result depends on the numbers alone, not on their order, nor on
how they were divided among histograms that were merged. Each bin knows whether it has met more
than one number; where it has not it holds ties, and hides nothing.
"""

from __future__ import annotations

from copy import copy

import numpy as np
from numpy.typing import NDArray

BITS = 17
FEWEST_BITS = 5  # the octaves of both signs fit in so many bins: a bin never spans two octaves
OCTAVES = 13
MANTISSA = 23  # bits of float32's fraction
LARGEST = 0x7F7FFFFF  # bits of the largest float32

Values = NDArray[np.float32]
Places = NDArray[np.intp]


class Histogram:
    """Several rows of weights over the same bins. Memory: 1 MB a row, however much is added."""

    def __init__(self, rows: int, bits: int = BITS) -> None:
        if bits < FEWEST_BITS:  # bins of several octaves would not lie in each other as they grow
            raise ValueError(f"a histogram has 2^{FEWEST_BITS} bins or more, asked were 2^{bits}")
        self.bits = bits
        self.span: tuple[float, float] | None = None  # lowest and highest number seen
        self.floor = 0  # below 2^floor all bins have one width
        self.shift = 0  # neighbouring keys in a bin: 2^shift
        self.first = 0  # key >> shift of the first place
        self.counts = np.zeros((rows, 0))
        self.member = np.zeros(0, np.float32)  # a number of the bin; NaN where it is empty
        self.mixed = np.zeros(0, dtype=bool)  # whether the bin met another number too

    def reach(self, lowest: float, highest: float) -> None:
        """Make room for numbers from ``lowest`` to ``highest``; the bins may become wider."""
        before = copy(self)
        if self.span is not None:
            lowest, highest = min(lowest, self.span[0]), max(highest, self.span[1])
        if (lowest, highest) == self.span:
            return
        self.span = (lowest, highest)
        self.floor = _floor(max(abs(lowest), abs(highest)))
        self.shift, first, last = self._cut(lowest, highest)
        same = (self.floor, self.shift) == (before.floor, before.shift)
        if same and self.first <= first and last - self.first < self.mixed.size:
            return
        size = 1 << self.bits
        self.first = first - (size - 1 - (last - first)) // 2  # room to grow on both sides
        self.counts = np.zeros((len(before.counts), size))
        self.member = np.full(size, np.nan, np.float32)
        self.mixed = np.zeros(size, dtype=bool)
        if before.span is not None:
            self._take(before)

    def places(self, values: Values, lowest: float = -np.inf) -> Places:
        """The bin of each number; ``reach`` must have seen the lowest and highest of them.

        A true ``lowest`` saves time where it is well above zero. -0.0 must not occur.
        """
        if self.shift <= MANTISSA and lowest >= 2.0**self.floor:  # the bits as they are
            places = (values.view(np.int32) >> self.shift).astype(np.intp)
            places -= (_lifted(self.floor) >> self.shift) + self.first
            return places
        places = (_keys(values, self.floor) >> self.shift).astype(np.intp)
        places -= self.first
        return places

    def saw(self, places: Places, values: Values) -> None:
        """Note which bins have met more than one number."""
        known = self.mixed.take(places)
        if known.all():
            return
        news = np.flatnonzero(~known)
        places, values = places[news], values[news]
        empty = np.isnan(self.member[places])
        self.member[places[empty]] = values[empty]
        self.mixed[places[self.member[places] != values]] = True

    def add(self, row: int, places: Places, weights: float | NDArray[np.float64] = 1.0) -> None:
        """Add a weight for each number."""
        np.add.at(self.counts[row], places, weights)

    def merged(self, other: Histogram) -> Histogram:
        """The histogram of both; neither is changed."""
        both = Histogram(len(self.counts), self.bits)
        parts = [part for part in (self, other) if part.span is not None]
        for part in parts:
            both.reach(*part.span)  # type: ignore[misc]
        for part in parts:
            both._take(part)
        return both

    def used(self) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
        """Of each bin that is not empty: its lowest number (n,), whether it is the only one (n,),
        and its weights (rows, n). Where there are more, the lowest is that which would fall there.
        """
        where = np.flatnonzero(~np.isnan(self.member))
        single = ~self.mixed[where]
        edges = _numbers((where + self.first) << self.shift, self.floor)
        if self.span is not None:
            edges = np.maximum(edges, self.span[0])
        lowest = np.where(single, self.member[where].astype(np.float64), edges)
        return lowest, single, self.counts[:, where]

    def _cut(self, lowest: float, highest: float) -> tuple[int, int, int]:
        """Shift, and key >> shift of the first and the last bin."""
        ends = _keys(np.array([lowest, highest], np.float32), self.floor)
        first, last, shift = int(ends[0]), int(ends[1]), 0
        while (last >> shift) - (first >> shift) >= 1 << self.bits:
            shift += 1
        return shift, first >> shift, last >> shift

    def _take(self, other: Histogram) -> None:
        """Add the bins of a histogram that are nowhere wider than these."""
        where = np.flatnonzero(~np.isnan(other.member))
        members = other.member[where]
        places = self.places(members)
        self.saw(places, members)
        self.mixed[places[other.mixed[where]]] = True
        for row, weights in enumerate(other.counts[:, where]):
            self.counts[row] += np.bincount(places, weights, minlength=self.mixed.size)


def _floor(largest: float) -> int:
    exponent = int(np.frexp(np.float32(largest))[1]) - 1 if largest else -100
    return max(exponent - OCTAVES, -100)


def _lifted(floor: int) -> int:
    """What the bits of 2^floor stand above its key, which is 2^23."""
    return (floor + 126) << MANTISSA


def _keys(values: Values, floor: int) -> NDArray[np.int32]:
    """Integers in the order of the numbers: bits above 2^floor, even steps of 2^(floor-23) below.

    Numbers from 2^floor on have a key each; -0.0 must not occur.
    """
    sizes = np.abs(values)
    keys = sizes.view(np.int32) - np.int32(_lifted(floor))
    small = np.flatnonzero(sizes < np.float32(2.0**floor))
    keys[small] = sizes[small] * np.float32(2.0 ** (MANTISSA - floor))
    keys ^= values.view(np.int32) >> 31  # ~key where negative
    return keys


def _numbers(keys: NDArray[np.intp], floor: int) -> NDArray[np.float64]:
    """The lowest number of each key."""
    sizes = np.where(keys < 0, -keys, keys)  # key -1 reaches down to the step of size 1
    steps = sizes * 2.0 ** (floor - MANTISSA)
    bits = np.minimum(np.maximum(sizes, 1 << MANTISSA) + _lifted(floor), LARGEST)
    values = np.where(sizes < 1 << MANTISSA, steps, _from_bits(bits))
    return np.where(keys < 0, -values, values)


def _from_bits(bits: NDArray[np.intp]) -> NDArray[np.float64]:
    return bits.astype(np.int32).view(np.float32).astype(np.float64)
