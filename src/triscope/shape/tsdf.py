"""Depth maps to a mesh through a truncated signed distance (Curless and Levoy 1996)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadSettings, EmptyData
from triscope.shape.fusion import Seen, projected
from triscope.shape.isosurface import isosurface
from triscope.shape.surface import Mesh

MOST_VOXELS = 512**3
SLAB = 8  # layers of the grid that are integrated at a time


def tsdf_mesh(
    views: Sequence[Seen],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    voxel: float,
    *,
    truncation: float = 4.0,
    least: int = 2,
    probability: float = 0.3,
) -> Mesh:
    """The mesh of all depth maps within the box ``low`` to ``high``; lengths in its unit.

    ``truncation`` counts voxels; a place must be seen by ``least`` views. Holes stay holes.
    """
    size = np.ceil((np.asarray(high) - low) / voxel).astype(int) + 1
    if voxel <= 0 or size.min() < 2 or int(size.prod()) > MOST_VOXELS:
        raise BadSettings(
            f"voxel={voxel:g}: the box would have {' x '.join(map(str, size))} voxels, expected 2 "
            f"on each side and {MOST_VOXELS:,} together at most."
        )
    values = np.ones(size, np.float32)
    weights = np.zeros(size, np.float32)
    counts = np.zeros(size, np.uint8)
    for start in range(0, size[0], SLAB):
        part = slice(start, min(start + SLAB, size[0]))
        grid = np.stack(
            np.meshgrid(np.arange(part.start, part.stop), *map(np.arange, size[1:]), indexing="ij"),
            -1,
        )
        points = low + voxel * grid
        for view in views:
            _add(view, points, values[part], weights[part], counts[part], truncation * voxel,
                 probability)  # fmt: skip
    mesh = isosurface(values, np.asarray(low, np.float64), voxel, counts >= least)
    if not len(mesh.faces):
        raise EmptyData(
            f"the box holds no surface that {least} views saw: check the box and the depth maps."
        )
    return mesh


def _add(
    view: Seen,
    points: NDArray[np.float64],
    values: NDArray[np.float32],
    weights: NDArray[np.float32],
    counts: NDArray[np.uint8],
    reach: float,
    probability: float,
) -> None:
    """Weigh the distance along the view's rays into the running mean."""
    pixels, z = projected(view, points)
    h, w = view.depth.values.shape
    column, row = np.rint(pixels[..., 0]).astype(int), np.rint(pixels[..., 1]).astype(int)
    inside = (z > 0) & (column >= 0) & (column < w) & (row >= 0) & (row < h)
    place = np.where(inside, row * w + column, 0)
    depth = view.depth.values.reshape(-1)[place]
    sure = view.depth.confidence.reshape(-1)[place]
    gap = (depth - z).astype(np.float32)
    inside &= (depth > 0) & (sure >= probability) & (gap > -reach)
    weight = np.where(inside, np.maximum(sure, 1e-3), 0).astype(np.float32)
    total = weights + weight
    mean = values * weights + np.clip(gap / reach, -1, 1) * weight
    np.divide(mean, total, out=values, where=total > 0)
    weights[...] = total
    counts[...] = np.minimum(counts.astype(np.uint16) + inside, 255).astype(np.uint8)
