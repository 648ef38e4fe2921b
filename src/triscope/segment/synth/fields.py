"""Random fields over a rectangle, float32 (h, w) in [0, 1]: clouds, grain, stripes, weaves, dots.

Coarse fields are drawn on a small grid and enlarged: smooth, and cheap.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]
Size = tuple[int, int]
Field = Callable[[np.random.Generator, Size], Floats]


def clouds(rng: np.random.Generator, hw: Size, cells: float | None = None) -> Floats:
    """Smooth noise with about ``cells`` bumps along the longer side."""
    if cells is None:
        cells = float(rng.uniform(2, 12))
    step = max(hw) / cells
    small = rng.random((int(hw[0] / step) + 3, int(hw[1] / step) + 3), dtype=np.float32)
    big = cv2.resize(small, (hw[1] + int(step), hw[0] + int(step)), interpolation=cv2.INTER_CUBIC)
    return _stretched(_floats(big[: hw[0], : hw[1]]))


def fractal(rng: np.random.Generator, hw: Size) -> Floats:
    """Clouds of three sizes, the finer the fainter: stone, rust, cast metal."""
    cells, keep = float(rng.uniform(2, 6)), float(rng.uniform(0.4, 0.8))
    total = sum(clouds(rng, hw, cells * 3**i) * keep**i for i in range(3))
    return _stretched(np.asarray(total, np.float32))


def grain(rng: np.random.Generator, hw: Size) -> Floats:
    """Noise of each pixel, a little blurred: sand, plaster, cardboard."""
    noise = rng.random(hw, dtype=np.float32)
    return _stretched(_floats(cv2.GaussianBlur(noise, (0, 0), float(rng.uniform(0.4, 1.5)))))


def brushed(rng: np.random.Generator, hw: Size) -> Floats:
    """Long scratches along one axis: ground and rolled metal."""
    noise = rng.random(hw, dtype=np.float32)
    length = int(rng.integers(9, 41))
    size = (length, 1) if rng.random() < 0.5 else (1, length)
    return _stretched(_floats(cv2.blur(noise, size)))


def stripes(rng: np.random.Generator, hw: Size) -> Floats:
    """Parallel stripes of any direction and profile: printed layers, ribs, fabric."""
    phase = _ramp(rng, hw, float(rng.uniform(3, 24)))
    if rng.random() < 0.5:
        phase = phase + clouds(rng, hw) * float(rng.uniform(0, 6))
    wave = np.sin(phase) * float(rng.choice([0.5, 0.5, 4.0]))
    return np.asarray(np.clip(0.5 + wave, 0, 1), np.float32)


def layers(rng: np.random.Generator, hw: Size) -> Floats:
    """Fine horizontal lines, as a printer leaves them."""
    rows = np.sin(np.arange(hw[0], dtype=np.float32) * float(rng.uniform(0.7, 2.5)))
    rows = rows + rng.normal(0, 0.4, hw[0]).astype(np.float32)
    return _stretched(np.repeat(rows[:, None], hw[1], axis=1))


def checks(rng: np.random.Generator, hw: Size) -> Floats:
    """Two crossing square waves: tiles, weaves, grids."""
    pitch = float(rng.uniform(5, 40))
    one, two = _ramp(rng, hw, pitch), _ramp(rng, hw, pitch)
    if rng.random() < 0.5:
        return np.asarray((np.sin(one) > 0) ^ (np.sin(two) > 0), np.float32)
    thin = float(rng.uniform(0.85, 0.98))
    return np.asarray((np.cos(one) > thin) | (np.cos(two) > thin), np.float32)


def dots(rng: np.random.Generator, hw: Size) -> Floats:
    """Scattered spots: terrazzo, dirt, pores."""
    out = np.zeros(hw, np.float32)
    count = int(rng.integers(5, 60))
    for x, y, r, v in rng.random((count, 4)):
        radius = max(1, int(0.5 + r * r * 0.06 * max(hw)))
        centre = (int(x * hw[1]), int(y * hw[0]))
        cv2.circle(out, centre, radius, 0.4 + 0.6 * v, -1, cv2.LINE_AA)
    return out


def plain(rng: np.random.Generator, hw: Size) -> Floats:
    """No texture."""
    return np.full(hw, 0.5, np.float32)


ALL: tuple[Field, ...] = (
    plain, plain, clouds, fractal, grain, brushed, stripes, layers, checks, dots,
)  # fmt: skip


def any_field(rng: np.random.Generator, hw: Size) -> Floats:
    """One of all fields."""
    return ALL[int(rng.integers(len(ALL)))](rng, hw)


def gradient(rng: np.random.Generator, hw: Size) -> Floats:
    """Light that falls off to one side, float32 (h, w) in [0, 1]."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.ogrid[0 : hw[0], 0 : hw[1]]
    return _stretched(np.asarray(np.cos(angle) * x + np.sin(angle) * y, np.float32))


def _ramp(rng: np.random.Generator, hw: Size, pitch: float) -> Floats:
    """Phase that grows by 2 pi each ``pitch`` pixels in a random direction."""
    angle = rng.uniform(0, np.pi) if rng.random() < 0.6 else rng.choice([0, np.pi / 2])
    y, x = np.ogrid[0 : hw[0], 0 : hw[1]]
    return np.asarray((np.cos(angle) * x + np.sin(angle) * y) * (2 * np.pi / pitch), np.float32)


def _floats(values: ArrayLike) -> Floats:
    return np.asarray(values, np.float32)


def _stretched(field: Floats) -> Floats:
    low, high = float(field.min()), float(field.max())
    return np.asarray((field - low) / max(high - low, 1e-6), np.float32)
