"""Depth maps of many views to one cloud: what only one view believes is left out.

A pixel is kept where enough views see the same point: projected into a source and back it lands
within a pixel and within 1 % of depth (R-MVSNet, section 4.2). Kept depths are averaged; a surface
that several views saw comes once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError, EmptyData
from triscope.kernel.config import require
from triscope.kernel.geometry.cameras import invert, pixel_grid
from triscope.kernel.results import Depth
from triscope.shape.surface import Cloud

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Settings:
    """When views agree."""

    probability: float = 0.3  # least confidence of a pixel (released code: 0.3 for R-MVSNet)
    pixels: float = 1.0  # most distance after the way to a source and back, in depth map pixels
    relative: float = 0.01  # most relative difference of depth
    views: int = 3  # least number of views that agree, the reference counted
    border: int = 0  # pixels this near to a jump of depth, or to unknown depth, are left out
    once: bool = True  # a surface that several views saw becomes points once

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        require(
            self,
            probability=(0 <= self.probability <= 1, "a number in [0, 1]"),
            pixels=(self.pixels > 0, "a number above 0"),
            relative=(self.relative > 0, "a number above 0"),
            views=(self.views >= 1, "1 or more"),
            border=(self.border >= 0, "0 or more"),
        )


@dataclass(frozen=True, eq=False)
class Seen:
    """One view that was matched: its depth, its pose, and its colours at the size of the map."""

    depth: Depth
    cam_T_world: Floats
    colours: NDArray[np.uint8] | None = None  # (h, w, 3)


@dataclass(frozen=True, eq=False)
class Agreement:
    """What the sources of one view say to its depth.

    ``views`` (h, w) counts who agrees, the reference included; ``depth`` is the mean of those that
    do; ``places`` are, for each source, the flat pixel there (-1 where it does not agree).
    """

    views: NDArray[np.int32]
    depth: NDArray[np.float32]
    places: Mapping[int, NDArray[np.int64]]


def agreement(
    reference: Seen,
    sources: Mapping[int, Seen],
    settings: Settings = Settings(),
    asked: Bools | None = None,
) -> Agreement:
    """Compare the depth of a view with that of its sources, where it is ``asked`` (h, w)."""
    depth = reference.depth.values.astype(np.float64)
    known = depth > 0 if asked is None else asked & (depth > 0)
    rows = np.flatnonzero(known)
    own = depth.reshape(-1)[rows]
    total, count = own.copy(), np.ones(len(rows), np.int32)
    places = {}
    for number, source in sources.items():
        agrees, place, seen = _back_and_forth(reference, source, rows, own, settings)
        total[agrees] += seen[agrees]
        count += agrees
        places[number] = np.full(depth.shape, -1)
        places[number].reshape(-1)[rows[agrees]] = place[agrees]
    views, mean = np.zeros(depth.shape, np.int32), depth.astype(np.float32)
    views.reshape(-1)[rows], mean.reshape(-1)[rows] = count, total / count
    return Agreement(views, mean, places)


def fuse(
    views: Sequence[Seen | None],
    sources: Mapping[int, Sequence[int]],
    settings: Settings = Settings(),
) -> Cloud:
    """One cloud of all views; None stands for a view without depth.

    Raises EmptyData where nothing is left, saying which condition removed how much.
    """
    have = [i for i, view in enumerate(views) if view is not None]
    if len(have) < settings.views:
        raise DataError(
            f"{len(have)} views have depth, but views={settings.views} must agree: match more "
            "views, or lower it."
        )
    used = [None if v is None else np.zeros(v.depth.values.size, bool) for v in views]
    parts: list[Cloud] = []
    lost = np.zeros(3, np.int64)  # pixels, too improbable, too lonely
    for i in have:
        view = views[i]
        assert view is not None and used[i] is not None
        others = {j: v for j in sources.get(i, ()) if (v := views[j]) is not None}
        sure = view.depth.known & (view.depth.confidence >= settings.probability)
        sure &= away_from_jumps(view.depth.values, settings)
        asked = sure & ~used[i].reshape(sure.shape) if settings.once else sure  # type: ignore[union-attr]
        found = agreement(view, others, settings, asked)
        keep = asked & (found.views >= settings.views)
        lost += [sure.size, (~sure).sum(), (asked & ~keep).sum()]
        if settings.once:
            for j, place in found.places.items():
                taken = place[keep]
                used[j][taken[taken >= 0]] = True  # type: ignore[index]
        parts.append(_cloud(view, found, keep))
    cloud = joined(parts)
    if not len(cloud):
        raise EmptyData(
            f"0 points: of {lost[0]:,} pixels {lost[1]:,} were below probability="
            f"{settings.probability:g} and {lost[2]:,} more were not seen alike by views="
            f"{settings.views}. Check the depth range first, then the poses."
        )
    return cloud


def away_from_jumps(depth: NDArray[np.float32], settings: Settings) -> Bools:
    """Where no jump of depth and no unknown pixel lies within ``border`` pixels."""
    if not settings.border:
        return np.ones(depth.shape, bool)
    import cv2

    square = np.ones((3, 3), np.uint8)
    low, high = cv2.erode(depth, square), cv2.dilate(depth, square)
    jump = (low <= 0) | (high > low * (1 + 5 * settings.relative))
    side = 2 * settings.border - 1  # the jump itself is found a pixel away already
    near = cv2.dilate(jump.astype(np.uint8), np.ones((side, side), np.uint8))
    return np.asarray(near == 0)


def joined(parts: Sequence[Cloud]) -> Cloud:
    """Clouds with the same parts as one."""
    names = set.intersection(*(set(part.parts()) for part in parts)) if parts else set()
    together = {n: np.concatenate([getattr(part, n) for part in parts]) for n in names}
    points = [part.points for part in parts] or [np.zeros((0, 3))]
    return Cloud(np.concatenate(points), **together)


def _lifted(view: Seen, rows: NDArray[np.int64], depth: Floats) -> Floats:
    """World points (n, 3) of flat pixels at these depths."""
    at = np.stack(np.divmod(rows, view.depth.values.shape[1])[::-1], -1)
    return _along(view, at.astype(np.float64), depth)


def _along(view: Seen, pixels: Floats, depth: Floats) -> Floats:
    """World points (..., 3) on the rays of pixels (..., 2)."""
    K = view.depth.K
    flat = (pixels - K[:2, 2]) / [K[0, 0], K[1, 1]]
    rays = np.concatenate([flat, np.ones((*flat.shape[:-1], 1))], -1) * depth[..., None]
    world_T_cam = invert(view.cam_T_world)
    return np.asarray(rays @ world_T_cam[:3, :3].T + world_T_cam[:3, 3])


def projected(view: Seen, points: Floats) -> tuple[Floats, Floats]:
    """Pixels (..., 2) and depths of world points; far outside where they lie behind."""
    in_cam = points @ view.cam_T_world[:3, :3].T + view.cam_T_world[:3, 3]
    z = in_cam[..., 2]
    front = z > 1e-12
    flat = in_cam[..., :2] / np.where(front, z, 1.0)[..., None]
    K = view.depth.K
    pixels = flat * [K[0, 0], K[1, 1]] + K[:2, 2] + K[0, 1] * flat[..., 1:] * [1, 0]
    return np.where(front[..., None], pixels, -1e6), z


def _back_and_forth(
    reference: Seen, source: Seen, rows: NDArray[np.int64], depth: Floats, settings: Settings
) -> tuple[Bools, NDArray[np.int64], Floats]:
    """For flat pixels of a view: does a source agree, its flat pixel, the depth it gives."""
    h, w = source.depth.values.shape
    pixels, _ = projected(source, _lifted(reference, rows, depth))
    column, row = np.rint(pixels).astype(np.int64).T
    inside = (column >= 0) & (column < w) & (row >= 0) & (row < h)
    place = np.where(inside, row * w + column, 0)
    there = _smooth(source.depth.values, pixels, place, settings)
    inside &= there > 0
    # The ray of the pixel that was asked, at the depth that stands there.
    back, seen = projected(reference, _along(source, pixels, there))
    asked = np.stack(np.divmod(rows, reference.depth.values.shape[1])[::-1], -1)
    gap = np.linalg.norm(back - asked, axis=1)
    agrees = inside & (gap < settings.pixels) & (np.abs(seen - depth) / depth < settings.relative)
    return agrees, place, seen


def _smooth(
    depth: NDArray[np.float32], pixels: Floats, place: NDArray[np.int64], settings: Settings
) -> Floats:
    """Depth between pixels: bilinear on one surface, the nearest at jumps (never a mix)."""
    h, w = depth.shape
    nearest = depth.reshape(-1)[place].astype(np.float64)
    left, top = np.floor(pixels[..., 0]), np.floor(pixels[..., 1])
    inside = (left >= 0) & (top >= 0) & (left < w - 1) & (top < h - 1)
    corner = np.where(inside, top * w + left, 0).astype(np.int64)
    four = np.stack([depth.reshape(-1)[corner + i] for i in (0, 1, w, w + 1)]).astype(np.float64)
    low, high = four.min(0), four.max(0)
    one = inside & (low > 0) & (high - low < 5 * settings.relative * np.maximum(low, 1e-12))
    x, y = np.where(inside, pixels[..., 0] - left, 0), np.where(inside, pixels[..., 1] - top, 0)
    mixed = (four[0] * (1 - x) + four[1] * x) * (1 - y) + (four[2] * (1 - x) + four[3] * x) * y
    return np.where(one, mixed, nearest)


def _cloud(view: Seen, found: Agreement, keep: Bools) -> Cloud:
    h, w = found.depth.shape
    points = _along(view, pixel_grid((h, w)), found.depth.astype(np.float64))
    normals = normals_of(points, view.cam_T_world)
    return Cloud(
        points[keep],
        normals[keep],
        None if view.colours is None else view.colours[keep],
        view.depth.confidence[keep].astype(np.float32),
        found.views[keep].astype(np.int32),
    )


def normals_of(points: Floats, cam_T_world: Floats) -> Floats:
    """Normals (h, w, 3) of a map of points by central differences, turned to the camera."""
    down = np.gradient(points, axis=0) if points.shape[0] > 1 else np.zeros_like(points)
    right = np.gradient(points, axis=1) if points.shape[1] > 1 else np.zeros_like(points)
    cross = np.cross(down, right)
    length = np.linalg.norm(cross, axis=2, keepdims=True)
    unit = np.divide(cross, length, out=np.zeros_like(cross), where=length > 0)
    to_camera = invert(cam_T_world)[:3, 3] - points
    away = (unit * to_camera).sum(2, keepdims=True) < 0
    return np.asarray(np.where(away, -unit, unit))
