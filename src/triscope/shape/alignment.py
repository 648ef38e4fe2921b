"""A scan brought into the frame of its reference: by markers, by its shape, or as it is placed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadSettings, DataError
from triscope.shape.distance import Distance
from triscope.shape.surface import Cloud

Floats = NDArray[np.float64]
How = Literal["placed", "markers", "nearby", "shape"]
POINTS = 5000  # of the scan that take part
SAMPLES = 40_000  # of the reference
ROUNDS = 60
SHARPER = 0.85  # how fast points that lie off lose their pull, a round
LOOSE = 1e-5  # mean square of what a way to move changes, below which nothing holds it
LEAST = 0.6  # share of the scan that must lie on the reference afterwards


@dataclass(frozen=True, eq=False)
class Alignment:
    """``reference_T_scan`` (4, 4), how far the fitting points lie off (root mean square), and the
    share of the scan that fits; ``free`` ways to move are not fixed by the shape (3 of a plane)."""

    reference_T_scan: Floats
    rms: float
    share: float
    how: str
    free: int = 0


def align(
    scan: Cloud,
    reference: Distance,
    how: How = "nearby",
    *,
    within: float | None = None,
    markers: tuple[Sequence[Sequence[float]], Sequence[Sequence[float]]] | None = None,
) -> Alignment:
    """Bring a scan into the frame of the reference.

    ``placed`` trusts the cameras. ``markers`` are the same three or more places in the scan and in
    the reference. ``nearby`` starts where the scan is and fits it closely (a rig: the part lies
    nearly as the reference); ``shape`` finds the pose by the main axes first. ``within`` is how far
    a point may lie off and still fit, by default 1 % of the size of the reference.

    Raises DataError where the scan does not fit: there is no verdict then.
    """
    if len(scan) < 50:
        raise DataError(f"a scan of {len(scan)} points cannot be aligned: 50 are needed.")
    limit = within or 0.01 * reference.mesh.extent()
    if how == "markers":
        if markers is None:
            raise BadSettings("how='markers' needs the places in the scan and in the reference.")
        start = rigid(np.asarray(markers[0], float), np.asarray(markers[1], float))
    else:
        start = np.eye(4)
    some = scan.points[np.random.default_rng(0).permutation(len(scan))[:POINTS]]
    if how in ("placed", "markers"):
        return _checked(_measured(some, reference, start, limit, how), limit)
    starts = [start] if how == "nearby" else main_axes(some, reference)
    samples = Samples(reference)
    found = [_measured(some, reference, icp(some, samples, s, limit), limit, how) for s in starts]
    best = _checked(max(found, key=lambda a: (round(a.share, 3), -a.rms)), limit)
    return replace(best, free=free_ways(some, samples, best.reference_T_scan, limit))


class Samples:
    """Points of the reference with their normals, close enough for the way to the pose."""

    def __init__(self, reference: Distance) -> None:
        from scipy.spatial import cKDTree

        drawn = reference.mesh.sampled(SAMPLES)
        assert drawn.normals is not None
        self.points, self.normals = drawn.points, drawn.normals
        self.extent = reference.mesh.extent()
        self.tree = cKDTree(self.points)


def icp(points: Floats, samples: Samples, start: Floats, limit: float) -> Floats:
    """Point-to-plane iterations; what lies farther off than a shrinking limit does not pull."""
    pose, reach = start, max(10 * limit, 0.05 * samples.extent)
    for turn in range(ROUNDS):
        moved = points @ pose[:3, :3].T + pose[:3, 3]
        away, index = samples.tree.query(moved)
        normals = samples.normals[index]
        gap = ((moved - samples.points[index]) * normals).sum(1)
        fits = (away < reach + 0.01 * samples.extent) & (np.abs(gap) < reach)
        if fits.sum() < 20:
            return pose
        moved, normals, gap = moved[fits], normals[fits], gap[fits]
        middle = moved.mean(0)
        jacobian = np.hstack([np.cross(moved - middle, normals), normals])
        # At first all within the limit pulls, else a large face holds the rest where it slid to.
        floor = 2 * float(np.median(np.abs(gap))) + 1e-12
        usual = min(limit, max(floor, limit * SHARPER**turn))
        weight = 1 / (1 + (gap / usual) ** 2) ** 2  # far points pull less
        system = jacobian.T @ (weight[:, None] * jacobian)
        system += 1e-9 * np.trace(system) * np.eye(6)  # a plane leaves three ways free
        step = np.linalg.solve(system, -jacobian.T @ (weight * gap))
        pose = _about(middle, step) @ pose
        reach = max(limit, reach * 0.75)
        settled = reach == limit and usual <= floor
        if np.abs(step).max() < 1e-6 * samples.extent and settled:
            break
    return pose


def free_ways(points: Floats, samples: Samples, pose: Floats, limit: float) -> int:
    """In how many ways the scan may move and still lie on the reference: along a plane in 3."""
    moved = points @ pose[:3, :3].T + pose[:3, 3]
    away, index = samples.tree.query(moved)
    moved, normals = moved[away < limit + 0.01 * samples.extent], samples.normals[index]
    normals = normals[away < limit + 0.01 * samples.extent]
    arms = (moved - moved.mean(0)) / samples.extent
    jacobian = np.hstack([np.cross(arms, normals), normals])
    held = np.linalg.eigvalsh(jacobian.T @ jacobian / max(len(moved), 1))
    return int((held < LOOSE).sum())


def rigid(source: Floats, target: Floats) -> Floats:
    """target_T_source of paired places (n, 3), least squares (Kabsch 1976)."""
    if source.shape != target.shape or source.ndim != 2 or len(source) < 3 or source.shape[1] != 3:
        raise BadSettings(
            f"markers are 3 or more pairs of places (n, 3), got {source.shape} and {target.shape}."
        )
    a, b = source - source.mean(0), target - target.mean(0)
    if np.linalg.matrix_rank(a, tol=1e-6 * max(np.abs(a).max(), 1e-12)) < 2:
        raise BadSettings("the markers lie on one line: choose three that span a triangle.")
    u, _, v = np.linalg.svd(b.T @ a)
    turn = u @ np.diag([1, 1, np.linalg.det(u @ v)]) @ v
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn, target.mean(0) - turn @ source.mean(0)
    return pose


def main_axes(points: Floats, reference: Distance) -> list[Floats]:
    """The four poses that lay the main axes of the scan onto those of the reference."""
    target = reference.mesh.sampled(POINTS).points
    (middle, axes), (goal, goal_axes) = _axes(points), _axes(target)
    poses = []
    for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        turned = goal_axes * [*signs, signs[0] * signs[1]]
        pose = np.eye(4)
        pose[:3, :3] = turned @ axes.T
        pose[:3, 3] = goal - pose[:3, :3] @ middle
        poses.append(pose)
    return poses


def _axes(points: Floats) -> tuple[Floats, Floats]:
    middle = points.mean(0)
    _, vectors = np.linalg.eigh(np.cov((points - middle).T))
    vectors = vectors[:, ::-1]
    vectors[:, 2] = np.cross(vectors[:, 0], vectors[:, 1])
    return middle, vectors


def _about(middle: Floats, step: Floats) -> Floats:
    """A small rotation about a place and a shift, as (4, 4)."""
    import cv2

    turn, _ = cv2.Rodrigues(step[:3])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn, middle - turn @ middle + step[3:]
    return pose


def _measured(
    points: Floats, reference: Distance, pose: Floats, limit: float, how: str
) -> Alignment:
    gap = np.abs(reference(points @ pose[:3, :3].T + pose[:3, 3], limit).distance)
    fits = gap < limit
    rms = float(np.sqrt((gap[fits] ** 2).mean())) if fits.any() else float("inf")
    return Alignment(pose, rms, float(fits.mean()), how)


def _checked(found: Alignment, limit: float) -> Alignment:
    if found.share < LEAST:
        raise DataError(
            f"the scan does not fit the reference: only {found.share:.0%} of it lies within "
            f"{limit:.3g} of it after alignment (how={found.how!r}; {LEAST:.0%} are needed). "
            "There is no verdict. Check the unit of both (mm or m), that it is the same part, and "
            "the start: markers, or how='shape'."
        )
    return found
