"""Random fields and lines that the painted parts are made of. All draw from the given generator."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]
Size = tuple[int, int]


def noise(rng: np.random.Generator, size: Size, sigma_px: float | tuple[float, float]) -> Floats:
    """Gaussian noise (h, w), smooth over ``sigma_px`` (or rows, columns), mean 0, deviation 1."""
    rows, columns = sigma_px if isinstance(sigma_px, tuple) else (sigma_px, sigma_px)
    # Smooth fields are drawn coarsely and enlarged: the blur stays cheap at any smoothness.
    steps = [max(1, int(sigma // 4)) for sigma in (rows, columns)]
    coarse = tuple(-(-side // step) + 2 for side, step in zip(size, steps, strict=True))
    field = rng.standard_normal(coarse, dtype=np.float32)
    blur = [sigma / step for sigma, step in zip((rows, columns), steps, strict=True)]
    field = _blurred(field, blur[0], blur[1])
    field = as_floats(cv2.resize(field, (size[1], size[0]), interpolation=cv2.INTER_CUBIC))
    return as_floats((field - field.mean()) / (field.std() + 1e-6))


def grid(size: Size) -> tuple[Floats, Floats]:
    """Row and column of each pixel's centre, float32 (h, w) each."""
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32)
    return rows, columns


def blob(
    rng: np.random.Generator, size: Size, centre: tuple[float, float], radius: float
) -> Floats:
    """An irregular spot: above 0 inside, falling outwards, about ``radius`` pixels wide."""
    rows, columns = grid(size)
    stretch, angle = rng.uniform(0.65, 1.0), rng.uniform(0, np.pi)
    y, x = rows - centre[0], columns - centre[1]
    along = (x * np.cos(angle) + y * np.sin(angle)) / radius
    across = (y * np.cos(angle) - x * np.sin(angle)) / (radius * stretch)
    ragged = 0.22 * noise(rng, size, radius / 2.5) + 0.07 * noise(rng, size, radius / 8)
    return as_floats(1 - np.hypot(along, across) + ragged)


def curve(
    rng: np.random.Generator, centre: tuple[float, float], length: float, bend: float = 0.25
) -> Floats:
    """A gently bent line around ``centre`` (row, column): points (n, 2) of (x, y)."""
    angle, steps = rng.uniform(0, np.pi), max(8, int(length / 3))
    turns = angle + bend * np.cumsum(rng.standard_normal(steps)) / np.sqrt(steps)
    turns += rng.uniform(-bend, bend) * np.linspace(-1, 1, steps)
    points = np.cumsum(np.stack([np.cos(turns), np.sin(turns)], 1), axis=0) * length / steps
    points += np.array([centre[1], centre[0]]) - points.mean(0)
    return as_floats(points)


def stroke(size: Size, points: Floats, widths: Floats) -> Floats:
    """Coverage in [0, 1] of a line whose width in pixels changes along it, antialiased."""
    layer, fine = np.zeros(size, np.uint8), 4  # shift: sub-pixel places of OpenCV
    whole = np.round(points * 2**fine).astype(np.int32)
    for start, stop, width in zip(whole[:-1], whole[1:], widths, strict=False):
        if width > 0.35:
            level = int(255 * min(1.0, float(width)))
            piece = np.zeros(size, np.uint8)
            thick = max(1, round(float(width)))
            cv2.line(
                piece, tuple(start.tolist()), tuple(stop.tolist()), level, thick, cv2.LINE_AA, fine
            )
            np.maximum(layer, piece, out=layer)
    return as_floats(layer) / np.float32(255)


def as_floats(values: ArrayLike) -> Floats:
    """The values as float32."""
    return np.ascontiguousarray(values, dtype=np.float32)


def as_image(values: Floats) -> NDArray[np.uint8]:
    """Brightness in [0, 1] as uint8."""
    return np.clip(values * 255 + 0.5, 0, 255).astype(np.uint8)


def _blurred(field: Floats, rows: float, columns: float) -> Floats:
    if rows < 0.3 and columns < 0.3:
        return field
    return as_floats(
        cv2.GaussianBlur(
            field,
            (0, 0),
            sigmaX=max(columns, 0.05),
            sigmaY=max(rows, 0.05),
            borderType=cv2.BORDER_REFLECT,
        )
    )
