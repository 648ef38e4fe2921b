"""Exact signed distance of points to a mesh.

A tree over small pieces of the triangles proposes candidates; a point is done when no other piece
can be nearer. The sign comes from the normal of the face, edge or vertex that is nearest
(Baerentzen and Aanaes 2005), so that it is right at edges too; it is positive outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError, needs_extra
from triscope.shape.surface import Mesh

Floats = NDArray[np.float64]
FIRST = 12  # candidates of the first round
MOST_PIECES = 4_000_000
AT_ONCE = 200_000  # points at a time


@dataclass(frozen=True, eq=False)
class Nearest:
    """For each point: signed distance, the nearest place on the mesh, and its face."""

    distance: Floats
    place: Floats
    face: NDArray[np.int64]


class Distance:
    """A mesh made ready for questions; of an open one the sign is that of the nearest face."""

    def __init__(self, mesh: Mesh) -> None:
        if not len(mesh.faces) or not mesh.areas().sum() > 0:
            raise DataError("the reference mesh has no face with an area.")
        self.mesh = mesh
        self.corners = mesh.corners
        self.tree, self.face, self.reach = _pieces(mesh)
        self.normals = _Normals(mesh)

    def __call__(self, points: Floats, limit: float = np.inf) -> Nearest:
        """Signed distances (n,) and nearest places of points (n, 3).

        Of points that are farther than ``limit`` only that is sure: their distance may be too long.
        """
        parts = [self._some(points[i : i + AT_ONCE], limit) for i in range(0, len(points), AT_ONCE)]
        if not parts:
            return Nearest(np.zeros(0), np.zeros((0, 3)), np.zeros(0, np.int64))
        return Nearest(
            np.concatenate([p.distance for p in parts]),
            np.concatenate([p.place for p in parts]),
            np.concatenate([p.face for p in parts]),
        )

    def _some(self, points: Floats, limit: float) -> Nearest:
        n = len(points)
        best = np.full(n, np.inf)
        place, face, corner = np.zeros((n, 3)), np.zeros(n, np.int64), np.zeros((n, 3))
        active, k = np.arange(n), min(FIRST, len(self.face))
        while len(active):
            gaps, index = self.tree.query(points[active], k)
            gaps, index = gaps.reshape(len(active), -1), index.reshape(len(active), -1)
            for column in range(gaps.shape[1]):
                faces = self.face[index[:, column]]
                at, shares = closest(points[active], self.corners[faces])
                gap = np.linalg.norm(points[active] - at, axis=1)
                nearer = gap < best[active]
                rows = active[nearer]
                best[rows], place[rows] = gap[nearer], at[nearer]
                face[rows], corner[rows] = faces[nearer], shares[nearer]
            # Pieces not asked for lie at least this far away.
            done = (best[active] <= gaps[:, -1] - self.reach) | (gaps[:, 0] - self.reach > limit)
            active = active[~done] if k < len(self.face) else active[:0]
            k = min(4 * k, len(self.face))
        side = ((points - place) * self.normals(face, corner)).sum(1)
        return Nearest(np.where(side < 0, -best, best), place, face)


def closest(points: Floats, corners: Floats) -> tuple[Floats, Floats]:
    """The nearest places (n, 3) on triangles (n, 3, 3), and their barycentric shares.

    Ericson, Real-Time Collision Detection, section 5.1.5, by regions.
    """
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    ab, ac, ap = b - a, c - a, points - a
    d1, d2 = (ab * ap).sum(1), (ac * ap).sum(1)
    bp, cp = points - b, points - c
    d3, d4 = (ab * bp).sum(1), (ac * bp).sum(1)
    d5, d6 = (ab * cp).sum(1), (ac * cp).sum(1)
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    zero, one = np.zeros(len(points)), np.ones(len(points))
    with np.errstate(divide="ignore", invalid="ignore"):
        v_ab, w_ac = d1 / (d1 - d3), d2 / (d2 - d6)
        w_bc = (d4 - d3) / ((d4 - d3) + (d5 - d6))
        total = va + vb + vc
        inside = np.stack([va, vb, vc], 1) / total[:, None]
    cases = [
        ((d1 <= 0) & (d2 <= 0), (one, zero, zero)),
        ((d3 >= 0) & (d4 <= d3), (zero, one, zero)),
        ((d6 >= 0) & (d5 <= d6), (zero, zero, one)),
        ((vc <= 0) & (d1 >= 0) & (d3 <= 0), (1 - v_ab, v_ab, zero)),
        ((vb <= 0) & (d2 >= 0) & (d6 <= 0), (1 - w_ac, zero, w_ac)),
        ((va <= 0) & (d4 >= d3) & (d5 >= d6), (zero, 1 - w_bc, w_bc)),
    ]
    shares, open_ = np.nan_to_num(inside, nan=0.0, posinf=0.0, neginf=0.0), one > 0
    for holds, values in cases:
        rows = holds & open_
        shares[rows] = np.stack(values, 1)[rows]
        open_ &= ~holds
    return (shares[:, :, None] * corners).sum(1), shares


class _Normals:
    """Normals of faces, edges (sum of their faces) and vertices (weighted by angle)."""

    def __init__(self, mesh: Mesh) -> None:
        self.faces, self.of_faces = mesh.faces, mesh.normals()
        n = len(mesh.vertices)
        self.of_vertices = np.zeros((n, 3))
        for i in range(3):
            one = mesh.corners[:, (i + 1) % 3] - mesh.corners[:, i]
            two = mesh.corners[:, (i + 2) % 3] - mesh.corners[:, i]
            length = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
            cosine = (one * two).sum(1) / np.maximum(length, 1e-300)
            angle = np.arccos(cosine.clip(-1, 1))
            np.add.at(self.of_vertices, mesh.faces[:, i], angle[:, None] * self.of_faces)
        pairs = np.sort(mesh.faces[:, [[1, 2], [2, 0], [0, 1]]], axis=2)  # opposite corner i
        keys = pairs[..., 0].astype(np.int64) * n + pairs[..., 1]
        _, self.edge = np.unique(keys.reshape(-1), return_inverse=True)
        self.edge = self.edge.reshape(-1, 3)
        self.of_edges = np.zeros((int(self.edge.max()) + 1, 3))
        np.add.at(self.of_edges, self.edge, self.of_faces[:, None])

    def __call__(self, face: NDArray[np.int64], shares: Floats) -> Floats:
        """The normal of what is nearest: corner, edge, or the face itself."""
        on = shares > 1e-9
        normal = self.of_faces[face].copy()
        for i in range(3):
            edge = (on.sum(1) == 2) & ~on[:, i]
            normal[edge] = self.of_edges[self.edge[face[edge], i]]
            corner = (on.sum(1) == 1) & on[:, i]
            normal[corner] = self.of_vertices[self.faces[face[corner], i]]
        return normal


def _pieces(mesh: Mesh) -> tuple[Any, NDArray[np.int64], float]:
    """A tree over the middles of pieces, the face of each piece, and their largest radius."""
    try:
        from scipy.spatial import cKDTree
    except ImportError as error:
        raise needs_extra("comparing surfaces", "shape", "scipy") from error
    corners, face = mesh.corners, np.arange(len(mesh.faces))
    keep = mesh.areas() > 0
    corners, face = corners[keep], face[keep]
    target = max(np.sqrt(mesh.areas().sum() / 60_000), np.median(_longest(corners)) * 0.5)
    done: list[tuple[Floats, NDArray[np.int64]]] = []
    count = 0
    while len(corners):
        large = _longest(corners) > 1.5 * target
        if count + 2 * large.sum() > MOST_PIECES:
            large[:] = False
        done.append((corners[~large], face[~large]))
        count += int((~large).sum())
        corners, face = _halved(corners[large]), np.repeat(face[large], 2)
    corners = np.concatenate([c for c, _ in done])
    middle = corners.mean(1)
    reach = float(np.linalg.norm(corners - middle[:, None], axis=2).max())
    return cKDTree(middle), np.concatenate([f for _, f in done]), reach


def _longest(corners: Floats) -> Floats:
    return np.asarray(np.linalg.norm(corners - np.roll(corners, 1, 1), axis=2).max(1))


def _halved(corners: Floats) -> Floats:
    """Each triangle cut in two at the middle of its longest edge."""
    edges = np.linalg.norm(np.roll(corners, -1, 1) - corners, axis=2)  # edge i: i to i + 1
    start = edges.argmax(1)
    rows = np.arange(len(corners))
    a, b, c = (corners[rows, (start + i) % 3] for i in range(3))
    middle = (a + b) / 2
    return np.stack([np.stack([a, middle, c], 1), np.stack([middle, b, c], 1)], 1).reshape(-1, 3, 3)
