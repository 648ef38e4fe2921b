"""Surface where good scans have none: a hole that is missing deviates from nothing.

The points of a scan are counted where they lie. By the patch of the reference that is nearest to
them, what fills a hole would be counted to its rim. The blocks in which they are counted are as
wide as a cell and stand at every half of a cell, so that a hole little wider than a block has one
to itself wherever it lies. Blocks that the surface of the reference crosses are full in a good part
even where the good scans that are known happen to have missed it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.shape.comparison import Cells
from triscope.shape.distance import Distance
from triscope.shape.grid import Places, rows_of

Floats = NDArray[np.float64]
CORNERS = np.array(list(itertools.product((0, 1), repeat=3)))
FEWEST = 3  # good scans that tell how much of what they leave empty one of them may fill
STRAY = 0.02  # of the points of a full block: fewer are no surface
# Of a side: so near to a block's middle, the reference has surface in it, noise included.
NEAR = 0.6
HEADROOM = 2.0  # times what a good scan showed beyond the others: what a good one may show


@dataclass(frozen=True, eq=False)
class Blocks:
    """Points of a scan by block: its middle (m, 3) in halves of a cell, and how many."""

    place: Places
    points: NDArray[np.int64]


def blocks_of(points: Floats, side: float) -> Blocks:
    """The blocks of this side (mm) that hold points (n, 3); each point is in eight of them."""
    halves, count = np.unique(
        np.floor(points / (side / 2)).astype(np.int64), axis=0, return_counts=True
    )
    place, index = np.unique(
        (halves[:, None] + CORNERS).reshape(-1, 3), axis=0, return_inverse=True
    )
    total = np.bincount(index.reshape(-1), np.repeat(count, len(CORNERS)))
    return Blocks(place, total.astype(np.int64))


@dataclass(frozen=True, eq=False)
class Voids:
    """Where good scans have surface; all else is empty in a good part."""

    solid: Places  # blocks
    full: float = 1.0  # points of a block that surface fills
    line: float = np.inf  # share of a full block that a good scan showed beyond the others

    def filled(self, blocks: Blocks, side: float, reference: Distance) -> Cells:
        """Blocks with surface where there should be none, beyond what good scans may show.

        The deviation is in mm: the width of a cell if surface fills all of the block.
        """
        share = blocks.points / self.full - HEADROOM * self.line
        chosen = np.flatnonzero(share > 0)
        chosen = chosen[rows_of(self.solid, blocks.place[chosen]) < 0]
        chosen = chosen[~crossed(blocks.place[chosen], side, reference)]
        place = blocks.place[chosen]
        return Cells(place, side * share[chosen], blocks.points[chosen], middles(place, side))

    def arrays(self) -> dict[str, Any]:
        """As ``Voids`` takes them."""
        return {"solid": self.solid.astype(np.int32), "full": self.full, "line": self.line}


def voids_of(scans: Sequence[Blocks], side: float, reference: Distance) -> Voids:
    """What good scans leave empty; two of them do not tell how much a third may fill of it."""
    place = np.unique(np.concatenate([one.place for one in scans]), axis=0)
    counts = np.zeros((len(scans), len(place)), np.int64)
    for row, one in zip(counts, scans, strict=True):
        row[rows_of(place, one.place)] = one.points
    cells = ~(place % 2).any(1)  # one of the eight ways to stand: no point twice
    full = float(np.median(np.concatenate([row[cells & (row > 0)] for row in counts])))
    surface = counts > STRAY * full
    line = np.inf
    if len(scans) >= FEWEST:
        alone = np.flatnonzero(surface.sum(0) == 1)
        alone = alone[~crossed(place[alone], side, reference)]
        line = float(counts[:, alone].max(initial=0)) / full
    return Voids(place[surface.any(0)], full, line)


def crossed(place: Places, side: float, reference: Distance) -> NDArray[np.bool_]:
    """Whether the surface of the reference is in a block, or at its border."""
    if not len(place):
        return np.zeros(0, bool)
    return np.asarray(np.abs(reference(middles(place, side), side).distance) <= NEAR * side)


def middles(place: Places, side: float) -> Floats:
    """The middles (m, 3) of blocks, in mm."""
    return place.astype(np.float64) * (side / 2)
