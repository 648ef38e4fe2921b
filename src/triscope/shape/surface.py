"""What a scan is made of: clouds of points and meshes of triangles, in the unit of the poses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Cloud:
    """Points (n, 3) with what is known of each; absent parts are None.

    ``normals`` (n, 3) of length 1, ``colours`` uint8 (n, 3), ``confidence`` (n,) in [0, 1],
    ``views`` (n,): how many views agreed, ``values`` (n,): a signed deviation.
    """

    points: Floats
    normals: Floats | None = None
    colours: NDArray[np.uint8] | None = None
    confidence: NDArray[np.float32] | None = None
    views: NDArray[np.int32] | None = None
    values: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        """Raise DataError where the parts do not belong together."""
        if self.points.ndim != 2 or self.points.shape[1] != 3:
            raise DataError(f"points are (n, 3), got {self.points.shape}.")
        for name, part in self.parts().items():
            if len(part) != len(self.points):
                raise DataError(f"{len(self.points)} points, but {len(part)} {name}.")

    def __len__(self) -> int:
        return len(self.points)

    def parts(self) -> dict[str, NDArray[np.generic]]:
        """The parts that are there, without the points."""
        names = ("normals", "colours", "confidence", "views", "values")
        return {name: part for name in names if (part := getattr(self, name)) is not None}

    def take(self, keep: NDArray[np.bool_] | NDArray[np.int64]) -> Cloud:
        """The points of a mask or of indices."""
        return Cloud(self.points[keep], **{n: p[keep] for n, p in self.parts().items()})  # type: ignore[arg-type]

    def moved(self, target_T_source: Floats) -> Cloud:
        """The cloud in another frame."""
        turn, shift = target_T_source[:3, :3], target_T_source[:3, 3]
        parts = self.parts()
        if self.normals is not None:
            parts["normals"] = self.normals @ turn.T
        return Cloud(self.points @ turn.T + shift, **parts)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles over vertices: ``vertices`` (n, 3), ``faces`` int (m, 3), outside to the front."""

    vertices: Floats
    faces: NDArray[np.int64]
    colours: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        """Raise DataError for faces that name vertices which are not there."""
        if self.vertices.ndim != 2 or self.vertices.shape[1] != 3:
            raise DataError(f"vertices are (n, 3), got {self.vertices.shape}.")
        if self.faces.ndim != 2 or self.faces.shape[1] != 3:
            raise DataError(f"faces are triangles (m, 3), got {self.faces.shape}.")
        if len(self.faces) and not 0 <= self.faces.min() <= self.faces.max() < len(self.vertices):
            raise DataError(
                f"faces name vertices {self.faces.min()} to {self.faces.max()}, but there are "
                f"{len(self.vertices)}."
            )
        if not np.isfinite(self.vertices).all():
            raise DataError("vertices hold values that are not finite (NaN or infinity).")

    @property
    def corners(self) -> Floats:
        """The triangles (m, 3, 3)."""
        return self.vertices[self.faces]

    def normals(self) -> Floats:
        """Unit normals (m, 3) of the faces; zeros where a face has no area."""
        a, b, c = np.moveaxis(self.corners, 1, 0)
        cross = np.cross(b - a, c - a)
        length = np.linalg.norm(cross, axis=1, keepdims=True)
        return np.divide(cross, length, out=np.zeros_like(cross), where=length > 0)

    def areas(self) -> Floats:
        """Areas (m,) of the faces."""
        a, b, c = np.moveaxis(self.corners, 1, 0)
        return np.asarray(np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2)

    def open_edges(self) -> int:
        """How many edges belong to one face only: 0 for a closed surface."""
        edges = np.sort(self.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        return int((np.unique(edges, axis=0, return_counts=True)[1] == 1).sum())

    def sampled(self, number: int, seed: int = 0) -> Cloud:
        """So many points drawn evenly over the surface, with their normals."""
        areas = self.areas()
        if not areas.sum() > 0:
            raise DataError("the mesh has no area: there is nothing to sample.")
        rng = np.random.default_rng(seed)
        face = rng.choice(len(areas), number, p=areas / areas.sum())
        u, v = rng.random((2, number))
        root = np.sqrt(u)
        shares = np.stack([1 - root, root * (1 - v), root * v], 1)
        points = (self.corners[face] * shares[..., None]).sum(1)
        return Cloud(points, self.normals()[face])

    def moved(self, target_T_source: Floats) -> Mesh:
        """The mesh in another frame."""
        turn, shift = target_T_source[:3, :3], target_T_source[:3, 3]
        return Mesh(self.vertices @ turn.T + shift, self.faces, self.colours)

    def extent(self) -> float:
        """The diagonal of the box around it."""
        return float(np.linalg.norm(np.ptp(self.vertices, axis=0)))
