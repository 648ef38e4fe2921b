"""Which views match which, and how deep to look (MVSNet, section 4.1 and its preparation script).

With sparse points: each pair is scored by the angles under which it sees the points it shares, and
depth ranges are their 1 % and 99 % quantiles. A rig without sparse points is scored on points drawn
in the volume that its cameras look at; its choice serves every part on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError
from triscope.kernel.config import require
from triscope.kernel.geometry.cameras import project
from triscope.shape.scene import Range, Scene, View

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """The numbers of the paper and its script."""

    best_angle: float = 5.0  # degrees between two views at which a point is seen best
    narrow: float = 1.0  # degrees: how fast smaller angles lose
    wide: float = 10.0  # degrees: how fast larger angles lose
    sources: int = 10  # sources kept for each view
    outliers: float = 0.01  # share of points left out at each end of the depth range
    margin: float = 0.05  # by how much the range is widened at each end

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        require(
            self,
            narrow=(self.narrow > 0, "a number above 0"),
            wide=(self.wide > 0, "a number above 0"),
            sources=(self.sources >= 1, "1 or more"),
            outliers=(0 <= self.outliers < 0.5, "a share in [0, 0.5)"),
            margin=(self.margin >= 0, "0 or more"),
        )


def choose_views(
    scene: Scene,
    settings: Settings = Settings(),
    *,
    near: float = 0.0,
    far: float = 0.0,
) -> Scene:
    """The scene with sources and depth ranges for each view.

    ``near`` and ``far`` (in the unit of the poses) fix the range for all views, as a rig with a
    known working volume should. Raises DataError where views do not overlap, or where neither
    points nor a range say how deep to look.
    """
    if len(scene.views) < 2:
        raise DataError(f"stereo needs 2 views or more, the scene has {len(scene.views)}.")
    ranges = dict(scene.ranges)
    if near or far:
        check_range(near, far)
        ranges = {i: Range(near, far) for i in range(len(scene.views))}
    if scene.sparse is not None and len(scene.sparse.xyz):
        ranges = ranges or ranges_of_points(scene, settings)
        points, seen = scene.sparse.xyz, _seen(scene)
    else:
        points = working_volume(scene, ranges)
        seen = np.stack([_visible(view, points, ranges.get(i))
                         for i, view in enumerate(scene.views)])  # fmt: skip
        ranges = ranges or ranges_of_volume(scene, points, settings)
    sources = best_sources(scores(scene, points, seen, settings), settings.sources)
    lonely = [scene.views[i].name for i, found in sources.items() if not found]
    if len(lonely) == len(scene.views):
        raise DataError(
            "no two views see the same place: check that the cameras belong to these images, and "
            "the depth range if one was given."
        )
    problems = scene.problems
    if lonely:
        problems = (*problems, f"views that share nothing with another: {', '.join(lonely)}")
    return scene.with_(sources=sources, ranges=ranges, problems=problems)


def check_range(near: float, far: float) -> None:
    """Raise DataError unless 0 < near < far."""
    if not (np.isfinite([near, far]).all() and 0 < near < far):
        hint = " They seem to be swapped." if near > far > 0 else ""
        raise DataError(
            f"the depth range is {near:g} to {far:g}: expected 0 < near < far, in the unit of the "
            f"poses.{hint}"
        )


def weight(degrees: Floats, settings: Settings = Settings()) -> Floats:
    """G of the paper: a Gaussian about the best angle, steeper below than above."""
    spread = np.where(degrees <= settings.best_angle, settings.narrow, settings.wide)
    return np.exp(-((degrees - settings.best_angle) ** 2) / (2 * spread**2))


def scores(
    scene: Scene, points: Floats, seen: NDArray[np.bool_], settings: Settings = Settings()
) -> Floats:
    """Sum of G over the points that each two views share: (n, n), zeros on the diagonal."""
    centres = np.stack([view.centre for view in scene.views])
    rays = centres[:, None] - points[None]  # (views, points, 3)
    rays = rays / np.maximum(np.linalg.norm(rays, axis=2, keepdims=True), 1e-12)
    n = len(centres)
    total = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1, n):
            both = seen[i] & seen[j]
            cosine = (rays[i, both] * rays[j, both]).sum(1).clip(-1, 1)
            total[i, j] = total[j, i] = weight(np.degrees(np.arccos(cosine)), settings).sum()
    return total


def best_sources(total: Floats, number: int) -> dict[int, tuple[tuple[int, float], ...]]:
    """The best sources of each view, best first; pairs that share nothing are left out."""
    found = {}
    for i, row in enumerate(total):
        order = np.argsort(-row, kind="stable")[:number]
        found[i] = tuple((int(j), float(row[j])) for j in order if row[j] > 0 and j != i)
    return found


def ranges_of_points(scene: Scene, settings: Settings = Settings()) -> dict[int, Range]:
    """Quantiles of the depths of the points that each view sees."""
    assert scene.sparse is not None
    found = {}
    for i, (view, index) in enumerate(zip(scene.views, scene.sparse.seen, strict=True)):
        _, depth = project(view.K, view.cam_T_world, scene.sparse.xyz[index])
        depth = depth[depth > 0]
        if len(depth) >= 2:
            near, far = np.quantile(depth, [settings.outliers, 1 - settings.outliers])
            found[i] = _widened(float(near), float(far), settings.margin)
    return found


def ranges_of_volume(
    scene: Scene, points: Floats, settings: Settings = Settings()
) -> dict[int, Range]:
    """The nearest and farthest depth of the working volume in each view."""
    found = {}
    for i, view in enumerate(scene.views):
        _, depth = project(view.K, view.cam_T_world, points)
        if (depth > 0).any():
            near, far = float(depth[depth > 0].min()), float(depth.max())
            found[i] = _widened(near, far, settings.margin)
    return found


def working_volume(scene: Scene, ranges: dict[int, Range], number: int = 4000) -> Floats:
    """Points drawn in the volume that the cameras look at.

    With ranges: in the frusta of the views between near and far. Without: in the ball about the
    place where the optical axes meet, as large as all views see whole.
    """
    rng = np.random.default_rng(0)
    if ranges:
        each = max(50, number // len(ranges))
        return np.concatenate([_in_frustum(scene.views[i], r, each, rng)
                               for i, r in ranges.items()])  # fmt: skip
    centre, radius = meeting_point(scene)
    directions = rng.standard_normal((number, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return centre + radius * rng.random((number, 1)) ** (1 / 3) * directions


def meeting_point(scene: Scene) -> tuple[Floats, float]:
    """Where the optical axes meet (least squares), and the radius that every view sees whole."""
    axes = np.stack([view.cam_T_world[2, :3] for view in scene.views])
    centres = np.stack([view.centre for view in scene.views])
    away = np.eye(3) - axes[:, :, None] * axes[:, None, :]  # projections off each axis
    system = away.sum(0)
    if np.linalg.eigvalsh(system)[0] < 1e-3 * len(axes):
        raise DataError(
            "the cameras look in parallel, so the place of the part cannot be told from them: "
            "give the depth range with --near and --far, in the unit of the poses."
        )
    centre = np.linalg.solve(system, (away @ centres[..., None]).sum(0)[:, 0])
    radius = np.inf
    for view in scene.views:
        _, depth = project(view.K, view.cam_T_world, centre)
        if depth <= 0:
            raise DataError(
                f"view {view.name} looks away from the place where the others meet: check its "
                "pose, or give the depth range with --near and --far."
            )
        h, w = view.size
        half = min(w / view.K[0, 0], h / view.K[1, 1]) / 2
        radius = min(radius, float(depth) * half / np.sqrt(1 + half**2))
    return centre, float(radius)


def number_of_planes(view: View, near: float, far: float, step_px: float = 1.0) -> int:
    """Planes such that neighbours lie ``step_px`` of the image apart at the nearest depth.

    The inverse depth setting of the supplement of R-MVSNet: rho is the length of that step there.
    """
    rho = near / view.K[0, 0] * step_px
    return int(np.ceil((1 / near - 1 / far) / (1 / near - 1 / (near + rho)))) + 1


def _widened(near: float, far: float, margin: float) -> Range:
    room = margin * (far - near)
    return Range(max(near - room, near * 0.2), far + room)


def _seen(scene: Scene) -> NDArray[np.bool_]:
    assert scene.sparse is not None
    seen = np.zeros((len(scene.views), len(scene.sparse.xyz)), bool)
    for i, index in enumerate(scene.sparse.seen):
        seen[i, index] = True
    return seen


def _visible(view: View, points: Floats, depths: Range | None) -> NDArray[np.bool_]:
    """Which points lie in the image and within the range of a view."""
    pixels, depth = project(view.K, view.cam_T_world, points)
    h, w = view.size
    with np.errstate(invalid="ignore"):
        inside = (depth > 0) & (pixels >= 0).all(1) & (pixels <= [w - 1, h - 1]).all(1)
    if depths is not None:
        inside &= (depth >= depths.near) & (depth <= depths.far)
    return inside


def _in_frustum(view: View, depths: Range, number: int, rng: np.random.Generator) -> Floats:
    from triscope.kernel.geometry.cameras import unproject

    h, w = view.size
    pixels = rng.random((number, 2)) * [w - 1, h - 1]
    depth = rng.uniform(depths.near, depths.far, number)
    return unproject(view.K, view.cam_T_world, pixels, depth)
