"""Cells: small cubes of the reference's frame, by their whole numbers along x, y and z."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]  # (n, 3)
AROUND = np.array(list(itertools.product((-1, 0, 1), repeat=3)))
AT = len(AROUND) // 2  # the cell itself among those around it


def places_of(points: NDArray[np.float64], side: float) -> Places:
    """The cell of each point. Faces at whole multiples of the side lie in the middle of cells.

    A face on the border between cells would be torn apart by the sign of its noise.
    """
    return np.asarray(np.floor(points / side + 0.5), np.int64)


def rows_of(place: Places, asked: Places) -> NDArray[np.int64]:
    """The row of each asked place (m, 3) among the places (n, 3), none twice; -1 for none."""
    if not len(place) or not len(asked):
        return np.full(len(asked), -1)
    low = np.minimum(place.min(0), asked.min(0))
    size = tuple(np.maximum(place.max(0), asked.max(0)) - low + 1)
    keys, wanted = (np.ravel_multi_index(tuple((one - low).T), size) for one in (place, asked))
    order = np.argsort(keys)
    spot = np.searchsorted(keys, wanted, sorter=order).clip(0, len(keys) - 1)
    found = order[spot]
    return np.where(keys[found] == wanted, found, -1)


def neighbours(place: Places, asked: Places) -> NDArray[np.int64]:
    """For each asked place (m, 3), which cells are around it and at it: (m, 27), -1 for none."""
    around = (asked[:, None] + AROUND).reshape(-1, 3)
    return rows_of(place, around).reshape(-1, len(AROUND))


def connected(place: Places) -> NDArray[np.int64]:
    """The group (n,) of each cell (n, 3): cells that touch, also at a corner, are of one group."""
    if not len(place):
        return np.zeros(0, np.int64)
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    index = neighbours(place, place)
    rows, columns = np.nonzero(index >= 0)
    pairs = (np.ones(len(rows)), (rows, index[rows, columns]))
    graph = coo_matrix(pairs, shape=(len(place), len(place)))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)
