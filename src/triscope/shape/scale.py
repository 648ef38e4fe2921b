"""The scale of a scene that structure from motion left free: from a length that somebody knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadSettings, DataError
from triscope.kernel.geometry.cameras import project
from triscope.shape.scene import Scene, Sparse

Floats = NDArray[np.float64]
FINITE = 1e-9  # of a homogeneous place: nearer to nought it lies as good as at infinity
MEET = 2.0  # pixels that a place may lie off where a view sees it


def scaled_by_cameras(scene: Scene, one: str, two: str, distance_mm: float) -> Scene:
    """The scene in millimetres, from the known distance of two of its cameras."""
    views = [scene.views[scene.number(name)] for name in (one, two)]
    now = float(np.linalg.norm(views[0].centre - views[1].centre))
    if not now > 0 or not distance_mm > 0:
        raise BadSettings(f"the cameras {one} and {two} are {now:g} apart: expected two places.")
    return scaled(scene, distance_mm / now)


def scaled_by_board(scene: Scene, corners: tuple[int, int], square_mm: float) -> Scene:
    """The scene in millimetres, from a chessboard in view: inner corners (columns, rows)."""
    seen = {}
    for i, view in enumerate(scene.views):
        grey = cv2.cvtColor(view.read(), cv2.COLOR_RGB2GRAY)
        found, places = cv2.findChessboardCorners(grey, corners)
        if found:
            window = (5, 5)
            stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 1e-3)
            fine = cv2.cornerSubPix(grey, places, window, (-1, -1), stop)
            seen[i] = fine[:, 0].astype(np.float64)
    if len(seen) < 2:
        raise DataError(
            f"a board of {corners[0]} x {corners[1]} inner corners is seen in {len(seen)} views: "
            "2 are needed. Check the count (inner corners, not squares)."
        )
    places, off = met(scene, seen)
    if np.median(off) > MEET:
        raise DataError(
            "the corners of the board do not meet in space: the views number them in another order "
            "(a board with an even and an odd count is needed), or the poses are wrong."
        )
    grid = places.reshape(corners[1], corners[0], 3)
    steps = [np.linalg.norm(np.diff(grid, axis=axis), axis=-1).ravel() for axis in (0, 1)]
    return scaled(scene, square_mm / float(np.median(np.concatenate(steps))))


def met(scene: Scene, seen: Mapping[int, Floats]) -> tuple[Floats, Floats]:
    """Where the rays of the same places meet: ``seen[i]`` (n, 2) pixels of view i.

    The places (n, 3), by linear triangulation whose rows are weighted by the depth so that they
    count in pixels; and how far they lie off in each view, pixels (views, n).
    """
    lines: list[Floats] = []
    for i, pixels in seen.items():
        P = scene.views[i].K @ scene.views[i].cam_T_world[:3]
        lines.append(np.stack([pixels[:, :1] * P[2] - P[0], pixels[:, 1:] * P[2] - P[1]], 1))
    system = np.stack(lines, 1)  # (n, views, 2, 4)
    weight = np.ones(system.shape[:2])
    for _ in range(3):
        weighted = (system * weight[..., None, None]).reshape(len(system), -1, 4)
        _, _, v = np.linalg.svd(weighted)
        last = v[:, -1, 3:]
        places = v[:, -1, :3] / np.where(np.abs(last) < FINITE, FINITE, last)
        found = [project(scene.views[i].K, scene.views[i].cam_T_world, places) for i in seen]
        depth = np.abs(np.stack([depth for _, depth in found], 1))
        weight = 1 / np.maximum(depth, FINITE * depth.max())
    gaps = [there - seen[i] for (there, _), i in zip(found, seen, strict=True)]
    return places, np.linalg.norm(np.stack(gaps), axis=-1)


def scaled(scene: Scene, factor: float) -> Scene:
    """The scene with all lengths times ``factor``, then in millimetres."""
    views = []
    for view in scene.views:
        pose = view.cam_T_world.copy()
        pose[:3, 3] *= factor
        views.append(replace(view, cam_T_world=pose))
    sparse = scene.sparse
    if sparse is not None:
        sparse = Sparse(sparse.xyz * factor, sparse.seen)
    ranges = {
        i: replace(r, near=r.near * factor, far=r.far * factor) for i, r in scene.ranges.items()
    }
    return scene.with_(views=tuple(views), sparse=sparse, ranges=ranges, unit="mm")
