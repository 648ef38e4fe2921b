"""What good scans look like, cell by cell, and what of another scan goes beyond that.

A stereo model errs in the same way each time it sees the same edge. The mean deviation of good
scans in a cell is that habit. Their spread is the noise; it is pooled over the cells around, since
a few scans tell little of one cell: rims vary, faces do not. A hole that is missing deviates from
nothing: there is surface where good scans have none, so the points of each block of 3 x 3 x 3 cells
are counted as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.errors import CheckDamaged, DataError, EmptyData
from triscope.shape.comparison import Cells
from triscope.shape.grid import AROUND, AT, Places, neighbours
from triscope.shape.surface import Mesh

Floats = NDArray[np.float64]
FILE = "reference.npz"
SPREADS = 3.0  # standard deviations of good scans that are no deviation
GUESS = 0.05  # mm: standard deviation where one good scan tells none
PRIOR = 5  # scans that the usual spread counts for where few good scans saw a place
WIDTH = 3  # cells along a block


@dataclass(frozen=True, eq=False)
class Reference:
    """The reference surface and the habit of good scans.

    Of each cell that one of them saw: mean deviation, pooled spread, how many saw it. Of each
    place in or next to those: the most points that a good part has in the block about it.
    """

    mesh: Mesh
    place: Places
    mean: Floats
    spread: Floats
    count: NDArray[np.int64]
    near: Places
    most: Floats
    full: float = 1.0  # points of a block that surface fills
    line: float = np.inf  # mm of surplus that a good scan showed beyond the others

    def beyond(self, cells: Cells) -> tuple[Floats, Floats]:
        """Per cell of a scan: deviation without the habit, and how much of it is usual.

        A cell that no good scan saw has no habit: its deviation is not judged.
        """
        index = neighbours(self.place, cells.place)[:, AT]
        habit, usual = np.zeros(len(cells)), np.full(len(cells), np.inf)
        seen = index >= 0
        known = index[seen]
        habit[seen] = self.mean[known]
        usual[seen] = SPREADS * self.spread[known] * np.sqrt(1 + 1 / self.count[known])
        return deviation_of(cells) - habit, usual

    def filled(self, cells: Cells, side: float) -> Floats:
        """Per cell: surface where good scans have none, as mm of the width of its block."""
        index = neighbours(self.near, cells.place)[:, AT]
        most = np.where(index >= 0, self.most[index], 0)
        width = WIDTH * side * (blocks(cells, cells.place) - most) / self.full
        return np.asarray(np.maximum(width - self.line, 0))

    def save(self, folder: Path) -> None:
        """Write ``reference.npz``."""
        arrays: dict[str, Any] = {
            "vertices": self.mesh.vertices, "faces": self.mesh.faces, "place": self.place,
            "mean": self.mean, "spread": self.spread, "count": self.count, "near": self.near,
            "most": self.most, "full": self.full, "line": self.line,
        }  # fmt: skip
        with (folder / FILE).open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)


def load_reference(folder: Path) -> Reference:
    """Read ``reference.npz``; raises CheckDamaged."""
    try:
        with np.load(folder / FILE, allow_pickle=False) as stored:
            a = {name: stored[name] for name in stored.files}
        mesh = Mesh(a.pop("vertices"), a.pop("faces"))
        full, line = float(a.pop("full")), float(a.pop("line"))
        return Reference(mesh, full=full, line=line, **a)
    except (OSError, ValueError, KeyError, TypeError, DataError) as error:
        raise CheckDamaged(f"{folder / FILE} cannot be read: {error}.") from error


def learned(mesh: Mesh, scans: Sequence[Cells], side: float) -> Reference:
    """The habit of good scans in cells of this side (mm)."""
    if not scans:
        raise EmptyData("no good scan could be compared: there is nothing to learn from.")
    place = np.concatenate([cells.place for cells in scans])
    value = np.concatenate([deviation_of(cells) for cells in scans])
    unique, index, count = np.unique(place, axis=0, return_inverse=True, return_counts=True)
    index = index.reshape(-1)
    mean = np.bincount(index, value) / count
    gap = np.bincount(index, (value - mean[index]) ** 2).astype(np.float64)
    spread = np.sqrt(pooled(gap, count - 1, neighbours(unique, unique), GUESS**2))
    near = np.unique((unique[:, None] + AROUND).reshape(-1, 3), axis=0)
    counts = np.stack([blocks(cells, near) for cells in scans])
    around = neighbours(near, near)
    full = WIDTH**2 * float(np.median(np.concatenate([cells.points for cells in scans])))
    line = max((_surplus(i, counts, around) for i in range(len(scans))), default=np.inf)
    line = WIDTH * side * line / full if len(scans) > 2 else np.inf
    return Reference(mesh, unique, mean, spread, count, near, most(counts, around), full, line)


def _surplus(one: int, counts: Floats, around: NDArray[np.int64]) -> float:
    """The most points by which a block of one scan exceeds what the other scans lead to expect."""
    others = np.delete(counts, one, 0)
    return float((counts[one] - most(others, around)).max(initial=0)) if len(others) else np.inf


def most(counts: Floats, around: NDArray[np.int64]) -> Floats:
    """Up to how many points (n,) a good scan has in a block, from the counts (s, n) of some."""
    scans, places = counts.shape
    mean = counts.mean(0)
    gap = ((counts - mean) ** 2).sum(0)
    spread = pooled(gap, np.full(places, scans - 1), around, 0.0)
    expected = mean + SPREADS * np.sqrt(spread * (1 + 1 / scans))
    return np.asarray(np.maximum(expected, counts.max(0)))


def pooled(
    gap: Floats, freedom: NDArray[np.int64], around: NDArray[np.int64], guess: float
) -> Floats:
    """The variance at each place: squares and degrees of freedom of the places around, summed.

    The usual variance of all places has a say too; ``guess`` is that where nothing varied twice.
    """
    many = freedom > 0
    usual = float(np.median(gap[many] / freedom[many])) if many.any() else guess
    have = around >= 0
    squares = np.where(have, gap[around], 0).sum(1) + PRIOR * usual
    return np.asarray(squares / (np.where(have, freedom[around], 0).sum(1) + PRIOR))


def deviation_of(cells: Cells) -> Floats:
    """The mean deviation of the block of cells about each cell: what bends, bends many cells."""
    index = neighbours(cells.place, cells.place)
    weight = np.where(index >= 0, cells.points[index], 0)
    total = (weight * np.where(index >= 0, cells.deviation[index], 0)).sum(1)
    return np.asarray(total / np.maximum(weight.sum(1), 1), np.float64)


def blocks(cells: Cells, asked: Places) -> Floats:
    """Points of the scan in the block of cells about each of these places."""
    index = neighbours(cells.place, asked)
    return np.asarray(np.where(index >= 0, cells.points[index], 0).sum(1), np.float64)
