"""Where the search for the pose of a scan begins: poses that lay it on its reference."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
STEP = 15  # degrees between the turns of the wide search
SHIFT = 0.15  # of the size of the reference, between its places
LIKELY, ROUGH = 36, 300  # starts that are followed; points by which they are chosen


def main_axes(points: Floats, target: Floats) -> list[Floats]:
    """Poses that lay the main axes of the scan onto those of the reference, in all four ways.

    Each with the middle of the scan on the middle of the reference and on both its faces: what is
    scanned from one side only lies, middle on middle, half way between two faces that both pull.
    """
    (middle, axes), (goal, goal_axes) = _axes(points), _axes(target)
    faces = _faces(target, goal, goal_axes[:, 2])
    return [
        _pose(goal_axes * [*signs, signs[0] * signs[1]] @ axes.T, middle, goal + up)
        for signs in product((1, -1), (1, -1))
        for up in faces
    ]


def all_around(points: Floats, target: Floats) -> list[Floats]:
    """The scan turned about the thin axis of the reference in steps, on both sides, moved about.

    For a scan that misses much of the part: neither its middle nor its axes are those of the part.
    """
    (middle, axes), (goal, goal_axes) = _axes(points), _axes(target)
    size = SHIFT * float(np.linalg.norm(np.ptp(target, axis=0)))
    angles = np.radians(np.arange(0, 360, STEP))
    _, *faces = _faces(target, goal, goal_axes[:, 2])
    poses = []
    for angle, side, a, b in product(angles, (1, -1), (-1, 0, 1), (-1, 0, 1)):
        c, s = np.cos(angle), np.sin(angle)
        turn = goal_axes @ [[c, -s * side, 0], [s, c * side, 0], [0, 0, side]] @ axes.T
        there = goal + size * (a * goal_axes[:, 0] + b * goal_axes[:, 1])
        poses += [_pose(turn, middle, there + up) for up in faces]
    return poses


def near_ones(points: Floats, tree: Any, poses: Sequence[Floats], extent: float) -> list[Floats]:
    """The poses in which the scan lies nearest to the points of the reference."""
    few, far = points[:ROUGH], 0.05 * extent
    gaps = [
        np.minimum(tree.query(few @ pose[:3, :3].T + pose[:3, 3])[0], far).mean() for pose in poses
    ]
    return [poses[i] for i in np.argsort(gaps)[:LIKELY]]


def _faces(target: Floats, goal: Floats, thick: Floats) -> list[Floats]:
    """Steps from the middle along the thin axis: none, to the upper face, to the lower."""
    along = (target - goal) @ thick
    return [thick * up for up in (0.0, *np.quantile(along, [0.98, 0.02]))]


def _pose(turn: Floats, middle: Floats, there: Floats) -> Floats:
    """Turned about its middle, which then lies there."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn, there - turn @ middle
    return pose


def _axes(points: Floats) -> tuple[Floats, Floats]:
    middle = points.mean(0)
    _, vectors = np.linalg.eigh(np.cov((points - middle).T))
    vectors = vectors[:, ::-1]
    vectors[:, 2] = np.cross(vectors[:, 0], vectors[:, 1])
    return middle, vectors
