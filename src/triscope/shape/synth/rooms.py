"""Rooms full of boards and balls with exact depth: what a network learns matching from.

Machined parts alone teach one distance and one kind of surface. A room has any depth, weak and
strong texture, edges in front of each other, and views in any direction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.kernel.geometry.cameras import invert, pixel_grid, pose
from triscope.shape.scene import Range, Scene, View
from triscope.shape.synth.paints import Paint, any_paint, plain_paint

Floats = NDArray[np.float64]
FAR = 1e6
LAMP = np.array([0.4, -0.7, -0.6])


@dataclass(frozen=True)
class _Board:
    """A parallelogram: a corner and two sides; walls and floor are large ones."""

    corner: Floats
    one: Floats
    two: Floats

    def meet(self, eye: Floats, rays: Floats) -> tuple[Floats, Floats]:
        """Way along each ray (FAR where it misses), and the normals there."""
        normal = np.cross(self.one, self.two)
        normal /= np.linalg.norm(normal)
        along = rays @ normal
        safe = np.where(np.abs(along) < 1e-9, 1e-9, along)
        way = ((self.corner - eye) @ normal) / safe
        place = eye + way[:, None] * rays - self.corner
        sides = np.stack([self.one, self.two], 1)
        shares = place @ np.linalg.pinv(sides).T
        hit = (way > 1e-3) & (shares >= 0).all(1) & (shares <= 1).all(1)
        return np.where(hit, way, FAR), np.broadcast_to(normal, rays.shape)


@dataclass(frozen=True)
class _Ball:
    middle: Floats
    radius: float

    def meet(self, eye: Floats, rays: Floats) -> tuple[Floats, Floats]:
        """Way along each ray (FAR where it misses), and the normals there."""
        to = eye - self.middle
        a, b = (rays**2).sum(1), rays @ to
        inside = b**2 - a * (to @ to - self.radius**2)
        way = (-b - np.sqrt(np.maximum(inside, 0))) / a
        hit = (inside > 0) & (way > 1e-3)
        way = np.where(hit, way, FAR)
        return way, (eye + way[:, None] * rays - self.middle) / self.radius


def clutter(
    seed: int, views: int = 4, size: tuple[int, int] = (128, 160), *, patterns: bool = False
) -> Scene:
    """A room of this seed: views with photos and true depth, all matched with all; metres.

    With ``patterns`` things also carry patches, stripes and tiles, and photos are less than sharp.
    """
    rng = np.random.default_rng([seed, 71])
    depth = float(rng.uniform(1.5, 5.0))
    things = _things(rng, depth, any_paint if patterns else plain_paint)
    K = _lens(rng, size)
    taken = [
        _photo(f"{i:08d}", things, K, one, size, rng, blur=0.9 * patterns)
        for i, one in enumerate(_poses(rng, views, depth))
    ]
    return _matched(taken, "clutter")


def heap(seed: int, views: int = 4, size: tuple[int, int] = (128, 160)) -> Scene:
    """Boxes, boards and balls stuck together, alone before a plain ground, mostly black; metres.

    The cameras stand around it, up to some 25 degrees from the first one.
    """
    rng = np.random.default_rng([seed, 73])
    depth = float(rng.uniform(0.5, 5.0))
    things = _heaped(rng, depth)
    K = _lens(rng, size)
    ground = 0.03 if rng.random() < 0.6 else float(rng.uniform(0, 1))
    taken = [
        _photo(f"{i:08d}", things, K, one, size, rng, blur=0.9, ground=ground)
        for i, one in enumerate(_around(rng, views, depth))
    ]
    return _matched(taken, "heap")


def _matched(taken: list[View], layout: str) -> Scene:
    """The scene of these views, each matched with all others."""
    every = range(len(taken))
    sources = {i: tuple((j, 1.0) for j in every if j != i) for i in every}
    ranges = {i: _range(view) for i, view in enumerate(taken)}
    return Scene(tuple(taken), sources, ranges, unit="m", layout=layout)


def _heaped(rng: np.random.Generator, depth: float) -> list[tuple[_Board | _Ball, Paint]]:
    """Things about one place, of some third of the depth across."""
    middle = np.array([0, 0, depth])
    found: list[tuple[_Board | _Ball, Paint]] = []
    for i in range(rng.integers(3, 8)):
        place = middle + (0.13 * depth * rng.standard_normal(3) if i else 0.0)
        reach = depth * rng.uniform(0.12, 0.45)
        paint, kind = any_paint(rng, 0.6 * depth), rng.random()
        shapes: Sequence[_Board | _Ball]
        if kind < 0.3:
            shapes = [_Ball(place, reach / 2)]
        elif kind < 0.8:
            shapes = _box(place, reach * rng.uniform(0.2, 1.0, 3), rng)
        else:
            one, two = reach * rng.standard_normal((2, 3)) * [1, 1, 0.6]
            shapes = [_Board(place - (one + two) / 2, one, two)]
        found += [(shape, paint) for shape in shapes]
    return found


def _box(middle: Floats, sides: Floats, rng: np.random.Generator) -> list[_Board]:
    """The six faces of a box turned any way."""
    axes = np.linalg.qr(rng.standard_normal((3, 3)))[0] * sides  # columns
    low, high = middle - axes.sum(1) / 2, middle + axes.sum(1) / 2
    pairs = ((0, 1), (1, 2), (2, 0))
    return [_Board(low, axes[:, i], axes[:, j]) for i, j in pairs] + [
        _Board(high, -axes[:, i], -axes[:, j]) for i, j in pairs
    ]


def _around(rng: np.random.Generator, views: int, depth: float) -> list[Floats]:
    """Cameras on a ball about what lies at the depth, some degrees apart."""
    reach = np.radians(rng.uniform(5, 25))
    target = np.array([0, 0, depth])
    found = []
    for i in range(views):
        across, up = reach * rng.uniform(-1, 1, 2) * [1, 0.6] * (i > 0)
        away = np.array([np.sin(across) * np.cos(up), np.sin(up), -np.cos(across) * np.cos(up)])
        eye = target + depth * rng.uniform(0.9, 1.1) * away
        found.append(_looking(rng, eye, target - eye + 0.04 * depth * rng.standard_normal(3)))
    return found


def _things(
    rng: np.random.Generator, depth: float, paint: Callable[[np.random.Generator, float], Paint]
) -> list[tuple[_Board | _Ball, Paint]]:
    """A wall, a floor, and what stands before them; the first camera looks along +z, y is down."""
    wide = 40 * depth
    tilt = rng.uniform(-0.5, 0.5)
    shapes: list[_Board | _Ball] = [
        _Board(np.array([-wide / 2, -wide / 2, 1.5 * depth - tilt * wide / 2]),
               np.array([wide, 0, tilt * wide]), np.array([0, wide, 0])),
        _Board(np.array([-wide / 2, rng.uniform(0.25, 0.6) * depth, -wide / 2]),
               np.array([wide, 0, 0]), np.array([0, 0, wide])),
    ]  # fmt: skip
    for _ in range(rng.integers(5, 12)):
        z = depth * rng.uniform(0.45, 1.3)
        middle = np.array([z * rng.uniform(-0.6, 0.6), z * rng.uniform(-0.45, 0.45), z])
        reach = depth * rng.uniform(0.06, 0.35)
        if rng.random() < 0.3:
            shapes.append(_Ball(middle, reach / 2))
        else:
            one, two = reach * rng.standard_normal((2, 3)) * [1, 1, 0.6]
            shapes.append(_Board(middle - (one + two) / 2, one, two))
    return [(shape, paint(rng, depth)) for shape in shapes]


def _lens(rng: np.random.Generator, size: tuple[int, int]) -> Floats:
    h, w = size
    focal = w * rng.uniform(0.75, 1.5)
    return np.array([[focal, 0, (w - 1) / 2], [0, focal, (h - 1) / 2], [0, 0, 1.0]])


def _poses(rng: np.random.Generator, views: int, depth: float) -> list[Floats]:
    """Cameras some tenths of the depth apart, turned roughly to the same place."""
    reach = depth * rng.uniform(0.05, 0.25)
    target = np.array([0, 0, depth]) + 0.1 * depth * rng.standard_normal(3)
    found = []
    for i in range(views):
        eye = reach * rng.uniform(-1, 1, 3) * [1, 0.6, 0.5] * (i > 0)
        found.append(_looking(rng, eye, target - eye + 0.06 * depth * rng.standard_normal(3)))
    return found


def _looking(rng: np.random.Generator, eye: Floats, forward: Floats) -> Floats:
    """cam_T_world of a camera that looks along ``forward``, hardly rolled."""
    forward = forward / np.linalg.norm(forward)
    right = np.cross([0.04 * rng.standard_normal(), 1.0, 0], forward)
    right /= np.linalg.norm(right)
    turn = np.stack([right, np.cross(forward, right), forward])
    return pose(turn, -turn @ eye)


def _photo(
    name: str,
    things: list[tuple[_Board | _Ball, Paint]],
    K: Floats,
    cam_T_world: Floats,
    size: tuple[int, int],
    rng: np.random.Generator,
    blur: float,
    ground: float = 0.5,
) -> View:
    """The nearest thing on each ray, painted, lit, with the exposure and noise of this photo."""
    world_T_cam = invert(cam_T_world)
    flat = ((pixel_grid(size) - K[:2, 2]) / [K[0, 0], K[1, 1]]).reshape(-1, 2)
    rays = np.hstack([flat, np.ones((len(flat), 1))]) @ world_T_cam[:3, :3].T  # z of 1: way = depth
    eye = world_T_cam[:3, 3]
    met = [shape.meet(eye, rays) for shape, _ in things]
    way = np.stack([one for one, _ in met])
    nearest, depth = way.argmin(0), way.min(0)
    known = depth < FAR
    colour = np.full((len(rays), 3), ground)
    lamp = LAMP / np.linalg.norm(LAMP)
    for i, (_, paint) in enumerate(things):
        rows = np.flatnonzero(known & (nearest == i))
        light = 0.5 + 0.5 * np.abs(met[i][1][rows] @ lamp)
        colour[rows] = paint(eye + depth[rows, None] * rays[rows]) * light[:, None]
    image = 255 * colour.clip(0, 1) ** rng.uniform(0.8, 1.2) * rng.uniform(0.8, 1.1)
    if blur:
        soft = image.reshape(*size, 3)
        soft = np.asarray(cv2.GaussianBlur(soft, (0, 0), rng.uniform(0.2, blur)), np.float64)
        image = soft.reshape(-1, 3)
    image += rng.uniform(0.5, 4) * rng.standard_normal(image.shape)
    pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8).reshape(*size, 3)
    truth = np.where(known, depth, 0).astype(np.float32).reshape(size)
    return View(name, pixels, K, cam_T_world, size, truth)


def _range(view: View) -> Range:
    depth = view.true_depth()
    assert depth is not None
    low, high = np.quantile(depth[depth > 0], [0.01, 0.97])
    return Range(0.9 * float(low), 1.1 * float(high) + 1e-3)
