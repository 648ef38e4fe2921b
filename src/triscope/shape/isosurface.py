"""Where a sampled function is zero, as a mesh: marching tetrahedra (Doi and Koide 1991).

Each cell of the grid is cut into six tetrahedra about its diagonal, all cells alike, so that the
surface closes from cell to cell and needs no table of 256 cases.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from triscope.shape.surface import Mesh

# Corners of a cell by (x, y, z) bits; the six tetrahedra share the diagonal 0-7.
CORNERS = np.array([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in range(8)])
TETRAHEDRA = np.array(
    [[0, 1, 3, 7], [0, 3, 2, 7], [0, 2, 6, 7], [0, 6, 4, 7], [0, 4, 5, 7], [0, 5, 1, 7]]
)


def isosurface(
    values: NDArray[np.floating],
    origin: NDArray[np.float64],
    step: float,
    known: NDArray[np.bool_] | None = None,
) -> Mesh:
    """The zero level of ``values`` (nx, ny, nz), outside positive; cells must be known whole.

    Grid point (i, j, k) lies at ``origin + step * (i, j, k)``. Faces look to the positive side.
    """
    cells = _crossed(values, known)
    if not len(cells):
        return Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int64))
    shape = np.array(values.shape)
    corners = cells[:, None] + CORNERS[None]  # (cells, 8, 3)
    flat = np.ravel_multi_index(np.moveaxis(corners, 2, 0), tuple(shape))  # (cells, 8)
    four = flat[:, TETRAHEDRA].reshape(-1, 4)  # (tetrahedra, 4)
    signs = values.reshape(-1)[four] < 0
    edges = np.concatenate([_one(four, signs, True), _one(four, signs, False), _two(four, signs)])
    return _mesh(edges, values, origin, step)


def _crossed(values: NDArray[np.floating], known: NDArray[np.bool_] | None) -> NDArray[np.int64]:
    """The cells (n, 3) in which the sign changes."""
    inside = values < 0
    low = np.ones(tuple(n - 1 for n in values.shape), bool)
    high = np.zeros_like(low)
    whole = np.ones_like(low)
    for x, y, z in CORNERS:
        part = tuple(slice(o, n - 1 + o) for o, n in zip((x, y, z), values.shape, strict=True))
        low &= inside[part]
        high |= inside[part]
        if known is not None:
            whole &= known[part]
    return np.argwhere(high & ~low & whole)


def _one(four: NDArray[np.int64], signs: NDArray[np.bool_], sign: bool) -> NDArray[np.int64]:
    """Triangles where one corner alone has this sign: three edges (n, 3, 2) of grid points."""
    alone = (signs == sign).sum(1) == 1
    rows, which = four[alone], (signs[alone] == sign).argmax(1)
    others = np.array([[1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1]])[which]  # keeps the handedness
    tip = np.take_along_axis(rows, which[:, None], 1)
    rest = np.take_along_axis(rows, others, 1)
    edges = np.stack([np.broadcast_to(tip, rest.shape), rest], 2)
    return edges if sign else edges[:, ::-1]


def _two(four: NDArray[np.int64], signs: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Two triangles where the signs are two and two."""
    even = signs.sum(1) == 2
    rows, inside = four[even], signs[even]
    order = np.argsort(~inside, axis=1, kind="stable")  # the two inside first
    a, b, c, d = np.take_along_axis(rows, order, 1).T
    # An odd order of the corners turns the faces round.
    odd = _parity(order)
    c, d = np.where(odd, d, c), np.where(odd, c, d)
    ac, ad, bc, bd = (np.stack(pair, 1) for pair in ((a, c), (a, d), (b, c), (b, d)))
    return np.concatenate([np.stack([ac, ad, bd], 1), np.stack([ac, bd, bc], 1)])


def _parity(order: NDArray[np.int64]) -> NDArray[np.bool_]:
    swaps = sum(
        (order[:, i] > order[:, j]).astype(np.int64) for i in range(4) for j in range(i + 1, 4)
    )
    return np.asarray(swaps % 2 == 1)


def _mesh(
    edges: NDArray[np.int64], values: NDArray[np.floating], origin: NDArray[np.float64], step: float
) -> Mesh:
    """Vertices on the edges where the function is zero; each edge once."""
    pairs = np.sort(edges.reshape(-1, 2), axis=1)
    keys = pairs[:, 0] * values.size + pairs[:, 1]
    _, first, index = np.unique(keys, return_index=True, return_inverse=True)
    low, high = pairs[first].T
    flat = values.reshape(-1).astype(np.float64)
    share = flat[low] / (flat[low] - flat[high])
    ends = [np.stack(np.unravel_index(end, values.shape), 1) for end in (low, high)]
    places = ends[0] + share[:, None] * (ends[1] - ends[0])
    faces = index.reshape(-1, 3).astype(np.int64)
    degenerate = (faces[:, 0] == faces[:, 1]) | (faces[:, 1] == faces[:, 2])
    degenerate |= faces[:, 0] == faces[:, 2]
    return Mesh(np.asarray(origin) + step * places, faces[~degenerate])
