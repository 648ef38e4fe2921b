"""Outlines of things: closed contours (n, 2) in about the unit square [-1, 1], x to the right.

A shape is a list of contours filled by the even-odd rule: what a second contour cuts out is a hole.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Contour = NDArray[np.float64]
Outline = Callable[[np.random.Generator], Contour]


def blob(rng: np.random.Generator) -> Contour:
    """A circle bent by a few waves."""
    angle = _angles(96)
    waves = np.arange(2, 2 + int(rng.integers(2, 7)))
    size = rng.normal(0, 0.45, len(waves)) / waves
    phase = rng.uniform(0, 2 * np.pi, len(waves))
    radius = 1 + (size[:, None] * np.cos(waves[:, None] * angle + phase[:, None])).sum(axis=0)
    return _fit(_polar(np.maximum(radius, 0.15), angle))


def ellipse(rng: np.random.Generator) -> Contour:
    """A circle or an ellipse."""
    points = _polar(np.ones(64), _angles(64))
    return points * [1, rng.uniform(0.4, 1) if rng.random() < 0.6 else 1]


def rounded(rng: np.random.Generator) -> Contour:
    """Between a rectangle and an ellipse."""
    angle, power = _angles(96), 2 / rng.uniform(2.5, 12)
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = np.sign(cos) * np.abs(cos) ** power, np.sign(sin) * np.abs(sin) ** power
    return np.stack([x, y * rng.uniform(0.25, 1)], axis=1)


def rectangle(rng: np.random.Generator) -> Contour:
    """Four corners, sometimes a parallelogram or a trapezium."""
    corners = np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1]]) * [1, rng.uniform(0.15, 1)]
    if rng.random() < 0.4:
        corners = corners + rng.normal(0, 0.15, (4, 2))
    return corners


def polygon(rng: np.random.Generator) -> Contour:
    """Three to eight corners around the centre."""
    count = int(rng.integers(3, 9))
    angle = _angles(count) + rng.normal(0, 0.8 / count, count)
    return _fit(_polar(rng.uniform(0.6, 1, count), angle))


def star(rng: np.random.Generator) -> Contour:
    """A star, or a gear where the teeth are blunt."""
    teeth, inner = int(rng.integers(5, 20)), rng.uniform(0.45, 0.9)
    pattern = [1, inner] if rng.random() < 0.4 else [1, 1, inner, inner]
    radius = np.tile(pattern, teeth).astype(float)
    return _polar(radius, _angles(len(radius)))


def bracket(rng: np.random.Generator) -> Contour:
    """An L, T, U or cross of bars."""
    a, b = rng.uniform(0.15, 0.6, 2)
    kinds = (
        [(-1, -1), (2 * a - 1, -1), (2 * a - 1, 1 - 2 * b), (1, 1 - 2 * b), (1, 1), (-1, 1)],
        [(-1, -1), (1, -1), (1, 2 * b - 1), (a, 2 * b - 1), (a, 1), (-a, 1), (-a, 2 * b - 1),
         (-1, 2 * b - 1)],
        [(-1, -1), (-1 + a, -1), (-1 + a, 1 - b), (1 - a, 1 - b), (1 - a, -1), (1, -1), (1, 1),
         (-1, 1)],
        [(-a, -1), (a, -1), (a, -b), (1, -b), (1, b), (a, b), (a, 1), (-a, 1), (-a, b), (-1, b),
         (-1, -b), (-a, -b)],
    )  # fmt: skip
    return np.array(kinds[int(rng.integers(len(kinds)))], float)


def turned(rng: np.random.Generator) -> Contour:
    """A symmetric profile over its axis: bottles, vases, towers, pawns, as printed or turned."""
    knots = rng.uniform(0.15, 1, int(rng.integers(3, 9)))
    y = np.linspace(-1, 1, 48)
    where = np.linspace(-1, 1, len(knots))
    if rng.random() < 0.6:
        half = np.interp(y, where, knots)
        half = np.convolve(np.pad(half, 3, mode="edge"), np.ones(7) / 7, mode="valid")
    else:
        half = knots[np.minimum(((y + 1) / 2 * len(knots)).astype(int), len(knots) - 1)]
    half = half * rng.uniform(0.3, 0.9)
    right, left = np.stack([half, y], axis=1), np.stack([-half, y], axis=1)[::-1]
    return np.concatenate([right, left])


def figure(rng: np.random.Generator) -> Contour:
    """A standing, uneven silhouette on a flat foot: busts, boats, animals."""
    steps = int(rng.integers(5, 14))
    y = np.linspace(-1, 1, 64)
    sides = []
    for _ in range(2):
        knots = rng.uniform(0.1, 1, steps)
        side = np.interp(y, np.linspace(-1, 1, steps), knots)
        sides.append(np.convolve(np.pad(side, 2, mode="edge"), np.ones(5) / 5, mode="valid"))
    lean = rng.normal(0, 0.15) * y
    scale = rng.uniform(0.4, 1)
    right = np.stack([lean + scale * sides[0], y], axis=1)
    left = np.stack([lean - scale * sides[1], y], axis=1)[::-1]
    return np.concatenate([right, left])


def wire(rng: np.random.Generator, width: float | None = None) -> Contour:
    """A bent strip of even width: cables, cracks, scratches, hooks."""
    count = 40
    turn = rng.normal(0, rng.uniform(0.02, 0.35), count).cumsum() + rng.uniform(0, 2 * np.pi)
    line = np.stack([np.cos(turn), np.sin(turn)], axis=1).cumsum(axis=0)
    line = line - (line.max(axis=0) + line.min(axis=0)) / 2
    line = line / np.abs(line).max()
    half = (rng.uniform(0.015, 0.12) if width is None else width) * rng.uniform(0.6, 1.4, count)
    half = np.convolve(np.pad(half, 2, mode="edge"), np.ones(5) / 5, mode="valid")
    normal = np.stack([-np.sin(turn), np.cos(turn)], axis=1) * half[:, None]
    return np.concatenate([line + normal, (line - normal)[::-1]])


SOLID: tuple[Outline, ...] = (
    blob, ellipse, rounded, rectangle, polygon, star, bracket, turned, figure,
)  # fmt: skip
STANDING: tuple[Outline, ...] = (turned, figure, figure)


def any_outline(rng: np.random.Generator, among: tuple[Outline, ...] = SOLID) -> Contour:
    """One of several outlines."""
    return among[int(rng.integers(len(among)))](rng)


def placed(
    contour: Contour, centre_xy: tuple[float, float], radius: float, angle: float
) -> Contour:
    """A contour turned, enlarged and moved: in pixels."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.asarray(contour @ np.array([[cos, sin], [-sin, cos]]) * radius + centre_xy)


def _angles(count: int) -> Contour:
    return np.linspace(0, 2 * np.pi, count, endpoint=False)


def _polar(radius: Contour, angle: Contour) -> Contour:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _fit(contour: Contour) -> Contour:
    """Into the unit square, keeping the ratio of its sides."""
    low, high = contour.min(axis=0), contour.max(axis=0)
    return np.asarray((contour - (low + high) / 2) / ((high - low).max() / 2))
