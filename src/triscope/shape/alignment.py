"""A scan brought into the frame of its reference: by markers, by its shape, or as it is placed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadSettings, DataError
from triscope.shape.distance import Distance
from triscope.shape.poses import all_around, main_axes, near_ones
from triscope.shape.surface import Cloud

Floats = NDArray[np.float64]
How = Literal["placed", "markers", "nearby", "shape"]
WITHIN = 0.01  # of the size of the reference: how far a point may lie off and still fit
POINTS = 5000  # of the scan that take part
FEW, CANDIDATES = 800, 5  # of them in the first look at all poses; poses that are looked at closely
WELL = 0.97  # share that fits, below which all ways to lie are tried
TURNED = 5.0  # degrees between two poses that are not the same
MOVED = 5.0  # limits between two poses that are not the same
NARROW = 0.05  # of their length: markers in a strip that is no wider fix no turn about it
SAMPLES = 40_000  # of the reference
ROUNDS = 60
SHARPER = 0.85  # how fast points that lie off lose their pull, a round
LOOSE = 1e-5  # mean square of what a way to move changes, below which nothing holds it
LEAST = 0.6  # share of the scan that must lie on the reference afterwards


@dataclass(frozen=True, eq=False)
class Pairs:
    """Markers that scan and reference have in common: names, and both places (n, 3)."""

    names: tuple[str, ...]
    scan: Floats
    reference: Floats


@dataclass(frozen=True, eq=False)
class Alignment:
    """``reference_T_scan`` (4, 4), how far the fitting points lie off (root mean square), and the
    share of the scan that fits; ``free`` ways to move are not fixed by the shape (3 of a plane)."""

    reference_T_scan: Floats
    rms: float
    share: float
    how: str
    free: int = 0
    rival: float = 0.0  # share that fits in the best other pose that was tried


def align(
    scan: Cloud,
    reference: Distance,
    how: How = "nearby",
    *,
    within: float | None = None,
    markers: Pairs | None = None,
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
    limit = within or WITHIN * reference.mesh.extent()
    if how == "markers":
        if markers is None:
            raise BadSettings("how='markers' needs the places in the scan and in the reference.")
        start = by_markers(markers, limit)
    else:
        start = np.eye(4)
    some = scan.points[np.random.default_rng(0).permutation(len(scan))[:POINTS]]
    if how in ("placed", "markers"):
        return _checked(_measured(some, reference, start, limit, how), limit)
    samples = Samples(reference)
    starts = [start]
    if how == "shape":
        few = some[:FEW]
        rough = _fitted(few, reference, samples, main_axes(few, samples.points), limit)
        if rough[0].share < WELL:
            likely = near_ones(few, samples.tree, all_around(few, samples.points), samples.extent)
            rough = sorted([*rough, *_fitted(few, reference, samples, likely, limit)], key=_rank)
        starts = [one.reference_T_scan for one in distinct(rough, some, limit)[:CANDIDATES]]
    best, *others = _fitted(some, reference, samples, starts, limit)
    best = _checked(replace(best, how=how), limit)
    other = next((a for a in others if not _alike(a, best, some, limit)), None)
    return replace(
        best,
        free=free_ways(some, samples, best.reference_T_scan, limit),
        rival=other.share if other is not None else 0.0,
    )


def distinct(found: Sequence[Alignment], points: Floats, limit: float) -> list[Alignment]:
    """Of poses that lay the scan down in nearly the same way, the first."""
    kept: list[Alignment] = []
    for one in found:
        if not any(_alike(one, other, points, limit) for other in kept):
            kept.append(one)
    return kept


def _alike(one: Alignment, other: Alignment, points: Floats, limit: float) -> bool:
    step = np.linalg.inv(one.reference_T_scan) @ other.reference_T_scan
    turned = np.degrees(np.arccos(np.clip((np.trace(step[:3, :3]) - 1) / 2, -1, 1)))
    middle = points.mean(0)
    moved = np.linalg.norm(step[:3, :3] @ middle + step[:3, 3] - middle)
    return bool(turned < TURNED and moved < MOVED * limit)


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


def by_markers(markers: Pairs, limit: float) -> Floats:
    """reference_T_scan of the markers; raises DataError where one lies off by more than limit."""
    pose = rigid(markers.scan, markers.reference)
    moved = markers.scan @ pose[:3, :3].T + pose[:3, 3]
    off = np.linalg.norm(moved - markers.reference, axis=1)
    worst = int(off.argmax())
    if off[worst] > limit:
        raise DataError(
            f"the marker {markers.names[worst]} lies {off[worst]:.3g} off its place once the "
            f"{len(off)} markers lie on one another ({limit:.3g} is the limit): check names, "
            "places and unit. There is no verdict."
        )
    return pose


def rigid(source: Floats, target: Floats) -> Floats:
    """target_T_source of paired places (n, 3), least squares (Kabsch 1976)."""
    if source.shape != target.shape or source.ndim != 2 or len(source) < 3 or source.shape[1] != 3:
        raise BadSettings(
            f"markers are 3 or more pairs of places (n, 3), got {source.shape} and {target.shape}."
        )
    a, b = source - source.mean(0), target - target.mean(0)
    spans = [np.linalg.svd(side, compute_uv=False) for side in (a, b)]
    if any(span[1] <= NARROW * span[0] for span in spans):
        raise BadSettings("the markers lie on one line: choose three that span a triangle.")
    u, _, v = np.linalg.svd(b.T @ a)
    turn = u @ np.diag([1, 1, np.linalg.det(u @ v)]) @ v
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn, target.mean(0) - turn @ source.mean(0)
    return pose


def _about(middle: Floats, step: Floats) -> Floats:
    """A small rotation about a place and a shift, as (4, 4)."""
    import cv2

    turn, _ = cv2.Rodrigues(step[:3])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = turn, middle - turn @ middle + step[3:]
    return pose


def _fitted(
    points: Floats, reference: Distance, samples: Samples, starts: list[Floats], limit: float
) -> list[Alignment]:
    """Where each start ends, the one that fits best first."""
    poses = [icp(points, samples, start, limit) for start in starts]
    found = [_measured(points, reference, pose, limit, "") for pose in poses]
    return sorted(found, key=_rank)


def _rank(found: Alignment) -> tuple[float, float]:
    return -round(found.share, 3), found.rms


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
