"""Solids as signed distances: negative inside, in millimetres; points are (..., 3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Solid = Callable[[Floats], Floats]


def box(half: Sequence[float], rounded: float = 0.0, centre: Sequence[float] = (0, 0, 0)) -> Solid:
    """A box with these half sides and rounded edges."""
    middle, sides = np.asarray(centre, float), np.asarray(half, float) - rounded

    def distance(p: Floats) -> Floats:
        q = np.abs(p - middle) - sides
        outside = np.sqrt((np.maximum(q, 0) ** 2).sum(-1))
        return np.asarray(outside + np.minimum(q.max(-1), 0) - rounded)

    return distance


def cylinder(
    radius: float, half: float, centre: Sequence[float] = (0, 0, 0), axis: int = 2
) -> Solid:
    """A cylinder along an axis of the frame."""
    middle = np.asarray(centre, float)
    around = [i for i in range(3) if i != axis]

    def distance(p: Floats) -> Floats:
        q = p - middle
        r = np.hypot(q[..., around[0]], q[..., around[1]]) - radius
        z = np.abs(q[..., axis]) - half
        outside = np.hypot(np.maximum(r, 0), np.maximum(z, 0))
        return np.asarray(outside + np.minimum(np.maximum(r, z), 0))

    return distance


def ball(radius: float, centre: Sequence[float]) -> Solid:
    """A ball."""
    middle = np.asarray(centre, float)
    return lambda p: np.asarray(np.sqrt(((p - middle) ** 2).sum(-1)) - radius)


def capsule(start: Sequence[float], end: Sequence[float], radius: float) -> Solid:
    """All points within ``radius`` of a segment."""
    a, along = np.asarray(start, float), np.subtract(end, start).astype(float)

    def distance(p: Floats) -> Floats:
        q = p - a
        share = np.clip((q @ along) / (along @ along), 0, 1)
        return np.asarray(np.sqrt(((q - share[..., None] * along) ** 2).sum(-1)) - radius)

    return distance


def ring(radius: float, thick: float, centre: Sequence[float]) -> Solid:
    """A torus about the z axis."""
    middle = np.asarray(centre, float)

    def distance(p: Floats) -> Floats:
        q = p - middle
        return np.asarray(np.hypot(np.hypot(q[..., 0], q[..., 1]) - radius, q[..., 2]) - thick)

    return distance


def union(*solids: Solid) -> Solid:
    """All of them together."""
    return lambda p: np.asarray(np.minimum.reduce([solid(p) for solid in solids]))


def without(solid: Solid, *holes: Solid) -> Solid:
    """The solid with the others cut out."""
    return lambda p: np.asarray(np.maximum.reduce([solid(p), *(-hole(p) for hole in holes)]))


def bent(solid: Solid, sagitta: float, length: float) -> Solid:
    """The solid bent along x: its ends are lifted by ``sagitta`` against the middle."""

    def distance(p: Floats) -> Floats:
        q = p.copy()
        q[..., 2] -= sagitta * (2 * p[..., 0] / length) ** 2
        return solid(q)

    return distance


def rough(solid: Solid, height: float, grain: float, seed: int) -> Solid:
    """The solid with noise on its surface, as a casting has."""
    return lambda p: np.asarray(solid(p) + height * (noise(p / grain, seed) - 0.5))


def noise(p: Floats, seed: int) -> Floats:
    """Smooth value noise in [0, 1], one lattice cell a unit, the same everywhere for a seed."""
    low = np.floor(p).astype(np.int64)
    share = p - low
    share = share * share * (3 - 2 * share)
    shares = [(1 - share[..., i], share[..., i]) for i in range(3)]
    cell = low.astype(np.uint64)
    with np.errstate(over="ignore"):
        parts = [[(cell[..., i] + np.uint64(bit)) * np.uint64(FACTORS[i]) for bit in (0, 1)]
                 for i in range(3)]  # fmt: skip
        total = np.zeros(p.shape[:-1])
        for corner in range(8):
            x, y, z = corner & 1, corner >> 1 & 1, corner >> 2 & 1
            weight = shares[0][x] * shares[1][y] * shares[2][z]
            total += weight * _mixed(parts[0][x] ^ parts[1][y] ^ parts[2][z], seed)
    return total


FACTORS = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)


def _mixed(h: NDArray[np.uint64], seed: int) -> Floats:
    """A number in [0, 1] for each lattice point, from the products of its coordinates."""
    h = h ^ np.uint64(seed * 0x27D4EB2F & 0xFFFFFFFF)
    h = (h ^ h >> np.uint64(15)) * np.uint64(0x2C1B3C6D) & np.uint64(0xFFFFFFFF)
    h = (h ^ h >> np.uint64(12)) * np.uint64(0x297A2D39) & np.uint64(0xFFFFFFFF)
    h ^= h >> np.uint64(15)
    return h.astype(np.float64) / 0xFFFFFFFF
