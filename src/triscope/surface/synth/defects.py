"""Scratches, dents and stains on any picture: painted parts, or photographs to learn from."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.surface.synth.fields import (
    Floats,
    as_floats,
    as_image,
    blob,
    curve,
    grid,
    noise,
    stroke,
)

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Place = tuple[float, float]
SEEN = 0.02  # a change of brightness that counts as part of the defect


def scratch(image: Image, where: Mask, rng: np.random.Generator) -> tuple[Image, Mask]:
    """A thin line across the surface: a bright furrow with a dark lip, now and then interrupted."""
    size = image.shape[:2]
    side = min(size)
    points = curve(rng, place(rng, where, side * 0.08), side * rng.uniform(0.18, 0.5))
    fade = np.sin(np.linspace(0.15, np.pi - 0.15, len(points))) ** 0.5
    pressure = 1 + 0.35 * np.convolve(rng.standard_normal(len(points)), np.ones(5) / 5, "same")
    widths = as_floats(side / 140 * rng.uniform(0.6, 1.2) * fade * np.clip(pressure, 0.1, 2))
    furrow = stroke(size, points, widths) * where
    lip = stroke(size, points + as_floats([0.9, 1.1]) * side / 256, widths) * where
    strength = rng.uniform(0.5, 0.9)
    light = as_floats(image) / np.float32(255)
    ground = float(light[where].mean())
    bright = (furrow * strength * (0.25 + 0.5 * (1 - ground)))[..., None]
    dark = (np.clip(lip - furrow, 0, 1) * strength * 0.45)[..., None]
    after = light * (1 - dark) + bright * (1 - light * 0.5)
    return as_image(as_floats(after)), np.maximum(furrow, lip) > 0.3


def dent(image: Image, where: Mask, rng: np.random.Generator) -> tuple[Image, Mask]:
    """A shallow bowl: the side towards the lamp turns dark, the far side bright."""
    size = image.shape[:2]
    side = min(size)
    radius = side * rng.uniform(0.035, 0.07)
    centre = place(rng, where, radius * 1.6)
    rows, columns = grid(size)
    y, x = (rows - centre[0]) / radius, (columns - centre[1]) / radius
    stretch, angle = rng.uniform(0.7, 1.0), rng.uniform(0, np.pi)
    u, v = x * np.cos(angle) + y * np.sin(angle), (y * np.cos(angle) - x * np.sin(angle)) / stretch
    far = np.hypot(u, v) + 0.06 * noise(rng, size, max(radius / 3, 0.8))
    bowl = -np.exp(-((far / 0.62) ** 4))  # flat floor, steep wall
    rim = 0.28 * np.exp(-(((far - 0.98) / 0.22) ** 2))  # what was pushed aside
    height = as_floats((bowl + rim) * radius * rng.uniform(0.20, 0.34))
    slope_x = as_floats(cv2.Sobel(height, cv2.CV_32F, 1, 0)) / np.float32(8)
    slope_y = as_floats(cv2.Sobel(height, cv2.CV_32F, 0, 1)) / np.float32(8)
    turned = np.clip(slope_x * 0.55 + slope_y * 0.83, -0.55, 0.75)
    light = as_floats(image) / np.float32(255)
    moved = _bent(light, slope_x, slope_y, radius)
    factor = np.where(where, 1 + turned - 0.10 * (far < 0.8), 1.0)
    after = moved * factor[..., None] + np.clip(turned - 0.35, 0, 1)[..., None] * 0.5
    mask = (far < 1.15) & where
    return as_image(as_floats(np.where(where[..., None], after, light))), mask


def stain(image: Image, where: Mask, rng: np.random.Generator) -> tuple[Image, Mask]:
    """A dried drop: darker, tinted, darkest along its ragged rim, the texture still visible."""
    size = image.shape[:2]
    side = min(size)
    radius = side * rng.uniform(0.05, 0.12)
    inner = blob(rng, size, place(rng, where, radius * 0.8), radius)
    cover = np.clip((inner + 0.05) / 0.2, 0, 1)
    rim = np.exp(-(((inner - 0.10) / 0.11) ** 2)) * np.clip((inner + 0.06) / 0.1, 0, 1)
    patchy = 1 + 0.25 * noise(rng, size, radius / 4)
    amount = rng.uniform(0.22, 0.42) * (0.75 * cover * patchy + 0.5 * rim)
    tints = as_floats([[0.55, 0.80, 1.15], [0.9, 0.95, 1.0], [0.45, 0.75, 1.2]])  # rust, oil, glue
    tint = tints[rng.integers(len(tints))]
    light = as_floats(image) / np.float32(255)
    after = light * (1 - np.clip(amount, 0, 0.8)[..., None] * tint)
    return as_image(as_floats(np.where(where[..., None], after, light))), (inner > -0.04) & where


ON_ANYTHING: dict[str, Callable[[Image, Mask, np.random.Generator], tuple[Image, Mask]]] = {
    "scratch": scratch,
    "dent": dent,
    "stain": stain,
}


def place(rng: np.random.Generator, where: Mask, margin_px: float) -> Place:
    """A random (row, column) on the surface, if possible ``margin_px`` away from its edges."""
    padded = np.pad(where, 1).astype(np.uint8)
    inside = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    rows, columns = np.nonzero(inside > min(margin_px, float(inside.max()) * 0.9))
    if not len(rows):
        return where.shape[0] / 2, where.shape[1] / 2
    chosen = int(rng.integers(len(rows)))
    return float(rows[chosen]), float(columns[chosen])


def _bent(light: Floats, slope_x: Floats, slope_y: Floats, radius: float) -> Floats:
    """What the tilted wall reflects comes from a little beside."""
    rows, columns = grid(light.shape[:2])
    reach = radius * 0.35
    return as_floats(
        cv2.remap(
            light,
            columns + slope_x * reach,
            rows + slope_y * reach,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        )
    )
