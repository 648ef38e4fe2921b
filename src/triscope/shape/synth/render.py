"""Photos of a solid with exact depth: rays are followed to the surface, then shaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from triscope.kernel.geometry.cameras import invert, pixel_grid
from triscope.shape.scene import View
from triscope.shape.synth.parts import Part
from triscope.shape.synth.solids import Solid, noise

Floats = NDArray[np.float64]
CLOSE = 1e-5  # mm: where a ray has arrived
STEPS = 160
BLOCK = 8192  # rays or points at a time
SAFE = 0.9  # share of the distance that a ray may go: bends and roughness stretch it a little


@dataclass(frozen=True)
class Look:
    """How the photos are taken."""

    texture: float = 0.35  # contrast of the surface's grain, 0 to 1
    gloss: float = 0.0  # share of mirrored light
    noise: float = 1.5  # grey values of sensor noise
    seed: int = 0  # of the sensor noise


def photograph(
    part: Part, K: Floats, cam_T_world: Floats, size: tuple[int, int], look: Look = Look()
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """RGB uint8 (h, w, 3), depth float32 (h, w) (0 beside the part), normals (h, w, 3)."""
    solid = part.solid()
    depth = traced(solid, part.bounds(), K, cam_T_world, size)
    world_T_cam = invert(cam_T_world)
    rays = _rays(K, size)
    hit = depth > 0
    points = (rays[hit] * depth[hit][:, None]) @ world_T_cam[:3, :3].T + world_T_cam[:3, 3]
    normals = np.zeros((*size, 3))
    normals[hit] = gradient(solid, points)
    image = _shaded(part, points, normals, hit, world_T_cam[:3, 3], look)
    return image, depth.astype(np.float32), normals.astype(np.float32)


def view_of(
    part: Part, name: str, K: Floats, cam_T_world: Floats, size: tuple[int, int], look: Look
) -> View:
    """A view with its photo and its true depth in memory."""
    image, depth, _ = photograph(part, K, cam_T_world, size, look)
    return View(name, image, K, cam_T_world, size, depth)


def traced(
    solid: Solid,
    bounds: tuple[Floats, Floats],
    K: Floats,
    cam_T_world: Floats,
    size: tuple[int, int],
) -> Floats:
    """Depth (h, w) along the optical axis, 0 where a ray meets nothing (sphere tracing)."""
    world_T_cam = invert(cam_T_world)
    rays = _rays(K, size).reshape(-1, 3)
    length = np.linalg.norm(rays, axis=1)
    along = (rays @ world_T_cam[:3, :3].T) / length[:, None]
    origin = world_T_cam[:3, 3]
    start, end = _through_box(origin, along, bounds)
    way = np.maximum(start, 0)
    active = np.flatnonzero(end > way)
    arrived = np.zeros(len(rays), bool)
    for _ in range(STEPS):
        gap = solid(origin + way[active, None] * along[active])
        near = np.abs(gap) < CLOSE
        arrived[active[near]] = True
        way[active] += np.where(near, 0, SAFE * gap)
        active = active[~near & (way[active] <= end[active])]
        if not len(active):
            break
    return np.where(arrived, way / length, 0).reshape(size)


def _in_blocks(function: Callable[[Floats], Floats], points: Floats) -> Floats:
    """The function of many points (n, 3), some at a time: what stays in the cache is faster."""
    parts = [function(points[i : i + BLOCK]) for i in range(0, len(points), BLOCK)]
    return np.concatenate(parts) if parts else function(points)


def gradient(solid: Solid, points: Floats, step: float = 1e-3) -> Floats:
    """Unit normals (n, 3) of the surface at points on it."""
    steps = step * np.eye(3)
    normal = _in_blocks(
        lambda p: np.stack([solid(p + one) - solid(p - one) for one in steps], -1), points
    )
    return np.asarray(normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12))


def _rays(K: Floats, size: tuple[int, int]) -> Floats:
    flat = (pixel_grid(size) - K[:2, 2]) / [K[0, 0], K[1, 1]]
    return np.concatenate([flat, np.ones((*size, 1))], -1)


def _through_box(
    origin: Floats, along: Floats, bounds: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """Where rays enter and leave a box; enter after leave where they miss it."""
    safe = np.where(np.abs(along) < 1e-12, 1e-12, along)
    one, two = (bounds[0] - origin) / safe, (bounds[1] - origin) / safe
    return np.minimum(one, two).max(1), np.maximum(one, two).min(1)


def _grain(points: Floats, seed: int) -> Floats:
    """Noise of four sizes, in [0, 1]."""
    sizes = ((5.0, 0.2), (1.7, 0.25), (0.7, 0.3), (0.35, 0.25))  # mm, share
    parts = [share * noise(points / size, 7 * seed + i) for i, (size, share) in enumerate(sizes)]
    return np.asarray(sum(parts))


def _shaded(
    part: Part,
    points: Floats,
    normals: Floats,
    hit: NDArray[np.bool_],
    eye: Floats,
    look: Look,
) -> NDArray[np.uint8]:
    """Two lamps and ambient light on a grained surface, before a dark cloth."""
    n = normals[hit]
    albedo = 0.55 + look.texture * 2 * (_in_blocks(lambda p: _grain(p, part.seed), points) - 0.5)
    light = np.full(len(points), 0.35)
    to_eye = eye - points
    to_eye /= np.linalg.norm(to_eye, axis=1, keepdims=True)
    mirrored = np.zeros(len(points))
    for lamp, power in (((0.4, -0.3, 0.86), 0.5), ((-0.6, 0.5, 0.62), 0.3)):
        direction = np.asarray(lamp) / np.linalg.norm(lamp)
        light += power * np.maximum(n @ direction, 0)
        half = direction + to_eye
        half /= np.linalg.norm(half, axis=1, keepdims=True)
        mirrored += power * np.maximum((n * half).sum(1), 0) ** 60
    grey = np.full(hit.shape, 14.0)
    grey[hit] = 255 * (albedo * light * 0.9 + look.gloss * mirrored)
    tint = np.array([1.0, 0.98, 0.94])
    image = grey[..., None] * tint
    rng = np.random.default_rng([look.seed, part.seed, int(hit.sum())])
    image += look.noise * rng.standard_normal(image.shape)
    return np.asarray(np.clip(np.rint(image), 0, 255), np.uint8)
