"""Pinhole cameras: K (3, 3) of one image size, poses (4, 4) named ``target_T_source``.

Pixel centres lie at integers: the first pixel's centre is (0, 0). World to camera is
``cam_T_world``. Depth is along the optical axis (z), in the unit of the poses; 0 means unknown.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def intrinsics(fx: float, fy: float, cx: float, cy: float) -> Floats:
    """K of focal lengths and principal point in pixels."""
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float64)


def resize_K(  # noqa: N802
    K: ArrayLike, from_hw: tuple[int, int], to_hw: tuple[int, int]
) -> Floats:
    """K of the image resized from ``from_hw`` to ``to_hw``; a centre p becomes (p + ½) s - ½."""
    y, x = to_hw[0] / from_hw[0], to_hw[1] / from_hw[1]
    change = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
    return np.asarray(change @ _matrix(K, 3))


def crop_K(K: ArrayLike, top: float, left: float) -> Floats:  # noqa: N802
    """K of the part of the image that begins at row ``top`` and column ``left``."""
    return np.asarray(np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]]) @ _matrix(K, 3))


def pose(R: ArrayLike, t: ArrayLike) -> Floats:
    """``target_T_source`` (4, 4) from a rotation (3, 3) and a translation (3,)."""
    whole = np.eye(4)
    whole[:3, :3] = _matrix(R, 3)
    whole[:3, 3] = np.asarray(t, np.float64).reshape(3)
    return whole


def invert(target_T_source: ArrayLike) -> Floats:
    """``source_T_target``, exact for rotations."""
    T = _matrix(target_T_source, 4)
    turned = T[:3, :3].T
    return pose(turned, -turned @ T[:3, 3])


def is_rotation(R: ArrayLike, within: float = 1e-4) -> bool:
    """True for an orthonormal (3, 3) matrix of determinant +1."""
    found = _matrix(R, 3)
    square = np.abs(found @ found.T - np.eye(3)).max() <= within
    return bool(square and abs(np.linalg.det(found) - 1) <= within)


def transform(target_T_source: ArrayLike, points: ArrayLike) -> Floats:
    """Points (..., 3) of the source frame in the target frame."""
    T = _matrix(target_T_source, 4)
    return np.asarray(np.asarray(points, np.float64) @ T[:3, :3].T + T[:3, 3])


def centre(cam_T_world: ArrayLike) -> Floats:
    """Where the camera stands in the world, (3,)."""
    return invert(cam_T_world)[:3, 3]


def project(K: ArrayLike, cam_T_world: ArrayLike, points: ArrayLike) -> tuple[Floats, Floats]:
    """World points (..., 3) as pixels (..., 2) and depths (...); nan pixels where depth is <= 0."""
    in_cam = transform(cam_T_world, points)
    depth = in_cam[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        flat = in_cam / np.where(depth > 0, depth, np.nan)[..., None]
    return np.asarray((flat @ _matrix(K, 3).T)[..., :2]), depth


def rays(K: ArrayLike, pixels: ArrayLike) -> Floats:
    """Directions (..., 3) in the camera's frame, z = 1, through pixels (..., 2)."""
    xy = np.asarray(pixels, np.float64)
    whole = np.concatenate([xy, np.ones((*xy.shape[:-1], 1))], axis=-1)
    return np.asarray(whole @ np.linalg.inv(_matrix(K, 3)).T)


def unproject(K: ArrayLike, cam_T_world: ArrayLike, pixels: ArrayLike, depth: ArrayLike) -> Floats:
    """World points (..., 3) of pixels (..., 2) at their depths (...)."""
    in_cam = rays(K, pixels) * np.asarray(depth, np.float64)[..., None]
    return transform(invert(cam_T_world), in_cam)


def pixel_grid(hw: tuple[int, int]) -> Floats:
    """The centres (x, y) of all pixels, (h, w, 2)."""
    rows, columns = np.mgrid[: hw[0], : hw[1]]
    return np.stack([columns, rows], axis=-1).astype(np.float64)


def cloud(K: ArrayLike, cam_T_world: ArrayLike, depth: ArrayLike) -> Floats:
    """World points (n, 3) of a depth map (h, w), row by row; unknown depth (0) is left out."""
    values = np.asarray(depth, np.float64)
    known = values > 0
    return unproject(K, cam_T_world, pixel_grid(values.shape)[known], values[known])


def _matrix(values: ArrayLike, side: int) -> Floats:
    found = np.asarray(values, np.float64)
    if found.shape != (side, side):
        what = "K and rotations are (3, 3)" if side == 3 else "poses are (4, 4)"
        raise ValueError(f"{what}, got shape {found.shape}")
    return found
