"""What good scans look like, cell by cell, and what of another scan goes beyond that.

A stereo model errs in the same way each time it sees the same edge. The mean deviation of good
scans in a cell is that habit. Their spread is the noise; it is pooled over the cells around, since
a few scans tell little of one cell: rims vary, faces do not. ``voids`` tells where good scans have
no surface at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.errors import CheckDamaged, DataError, EmptyData
from triscope.shape.comparison import Cells
from triscope.shape.distance import Distance
from triscope.shape.grid import AT, Places, neighbours
from triscope.shape.markers import Markers
from triscope.shape.surface import Mesh
from triscope.shape.voids import Blocks, Voids, voids_of

Floats = NDArray[np.float64]
FILE = "reference.npz"
SPREADS = 3.0  # standard deviations of good scans that are no deviation
GUESS = 0.05  # mm: standard deviation where one good scan tells none
PRIOR = 5  # scans that the usual spread counts for where few good scans saw a place


@dataclass(frozen=True, eq=False)
class Reference:
    """The reference surface and the habit of good scans.

    Of each cell that one of them saw: mean deviation, pooled spread, how many saw it.
    """

    mesh: Mesh
    place: Places
    mean: Floats
    spread: Floats
    count: NDArray[np.int64]
    voids: Voids
    markers: Markers = field(default_factory=dict)  # mm: by which scans are aligned, if by any

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

    def save(self, folder: Path) -> None:
        """Write ``reference.npz``."""
        arrays: dict[str, Any] = {
            "vertices": self.mesh.vertices, "faces": self.mesh.faces, "place": self.place,
            "mean": self.mean, "spread": self.spread, "count": self.count, **self.voids.arrays(),
            "marker_names": np.array(list(self.markers), dtype=str),
            "markers": np.array(list(self.markers.values())).reshape(-1, 3),
        }  # fmt: skip
        with (folder / FILE).open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)


def load_reference(folder: Path) -> Reference:
    """Read ``reference.npz``; raises CheckDamaged."""
    try:
        with np.load(folder / FILE, allow_pickle=False) as stored:
            a = {name: stored[name] for name in stored.files}
        mesh = Mesh(a.pop("vertices"), a.pop("faces"))
        solid = a.pop("solid").astype(np.int64).reshape(-1, 3)
        voids = Voids(solid, float(a.pop("full")), float(a.pop("line")))
        names = a.pop("marker_names", np.array([], dtype=str)).tolist()
        markers = dict(zip(names, a.pop("markers", np.zeros((0, 3))), strict=True))
        return Reference(mesh, voids=voids, markers=markers, **a)
    except (OSError, ValueError, KeyError, TypeError, DataError) as error:
        raise CheckDamaged(f"{folder / FILE} cannot be read: {error}.") from error


def learned(
    reference: Distance,
    scans: Sequence[Cells],
    blocks: Sequence[Blocks],
    side: float,
    markers: Markers | None = None,
) -> Reference:
    """The habit of good scans, from the cells and the blocks of each; ``side`` of both in mm."""
    if not scans:
        raise EmptyData("no good scan could be compared: there is nothing to learn from.")
    place = np.concatenate([cells.place for cells in scans])
    value = np.concatenate([deviation_of(cells) for cells in scans])
    unique, index, count = np.unique(place, axis=0, return_inverse=True, return_counts=True)
    index = index.reshape(-1)
    mean = np.bincount(index, value) / count
    gap = np.bincount(index, (value - mean[index]) ** 2).astype(np.float64)
    spread = np.sqrt(pooled(gap, count - 1, neighbours(unique, unique), GUESS**2))
    voids = voids_of(blocks, side, reference)
    return Reference(reference.mesh, unique, mean, spread, count, voids, markers or {})


def excess(deviation: Floats, usual: Floats) -> Floats:
    """Deviations (n,) beyond what is usual, with their sign."""
    return np.asarray(np.sign(deviation) * np.maximum(np.abs(deviation) - usual, 0))


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
