"""Where the pixels of a reference view land in its source views, plane by plane.

A reference pixel x at depth d lands at ``d * turn @ (x, y, 1) + shift`` (homogeneous) in a source:
the plane-induced homography of the papers, written so that only d changes from plane to plane.
Pixel centres are at integers; ``K`` belongs to the size of the maps that are warped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from triscope.errors import DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Warp:
    """``turn`` (s, 3, 3) and ``shift`` (s, 3) of each source view, float64."""

    turn: Floats
    shift: Floats

    def __len__(self) -> int:
        return len(self.turn)


def warp_of(K: ArrayLike, cam_T_world: ArrayLike) -> Warp:
    """The warp of views (n, 3, 3) and (n, 4, 4), the reference first, from it to the others."""
    matrices, poses = np.asarray(K, np.float64), np.asarray(cam_T_world, np.float64)
    if matrices.shape[1:] != (3, 3) or poses.shape != (len(matrices), 4, 4) or len(poses) < 2:
        raise DataError(
            f"a sweep needs K (n, 3, 3) and cam_T_world (n, 4, 4) of the same n >= 2 views, "
            f"reference first; got {matrices.shape} and {poses.shape}."
        )
    if not (np.isfinite(matrices).all() and np.isfinite(poses).all()):
        bad = [i for i in range(len(poses)) if not np.isfinite([*matrices[i].flat, *poses[i].flat])
               .all()]  # fmt: skip
        raise DataError(
            f"the cameras of views {', '.join(map(str, bad))} (0 is the reference) hold values "
            "that are not finite: correct or leave out these views."
        )
    turns, centres = poses[:, :3, :3], centres_of(poses)
    turn = matrices[1:] @ turns[1:] @ turns[0].T @ np.linalg.inv(matrices[0])
    moved = turns[1:] @ (centres[0] - centres[1:])[..., None]
    return Warp(turn, (matrices[1:] @ moved)[..., 0])


def centres_of(cam_T_world: ArrayLike) -> Floats:
    """Centres (n, 3) of cameras (n, 4, 4), in the world: ``-R^T t``.

    The published homography transposes rotations where others invert them: with poses rounded to a
    few digits the two differ by hundredths of a pixel.
    """
    poses = np.asarray(cam_T_world, np.float64)
    return -(np.swapaxes(poses[:, :3, :3], 1, 2) @ poses[:, :3, 3:])[..., 0]


def from_half_centres(K: ArrayLike) -> Floats:
    """K for pixel centres at integers, of one whose first pixel's centre is (0.5, 0.5)."""
    moved = np.array(K, np.float64)
    moved[..., :2, 2] -= 0.5
    return moved


def planes(near: float, far: float, number: int, *, inverse: bool = True) -> Floats:
    """Depths of the planes, nearest first: uniform in 1/depth or in depth, both ends included."""
    if not (np.isfinite([near, far]).all() and 0 < near < far):
        hint = " (they seem to be swapped)" if near > far > 0 else ""
        raise DataError(
            f"the depth range is {near:g} to {far:g}: expected 0 < near < far, in the unit of "
            f"the poses{hint}."
        )
    if number < 2:
        raise DataError(f"a sweep needs 2 planes or more, got {number}.")
    if inverse:
        return np.asarray(1 / np.linspace(1 / near, 1 / far, number))
    return np.linspace(near, far, number)
