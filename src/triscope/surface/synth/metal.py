"""A brushed plate with two drilled holes, under a lamp from the upper left."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.surface.synth.fields import Floats, Size, as_floats, as_image, grid, noise

STEEL = as_floats([0.97, 0.99, 1.0])  # a little blue
LAMP = as_floats([-0.55, -0.83])  # where the light comes from, (x, y)


@dataclass(frozen=True)
class Pose:
    """Where the plate lies: shift in pixels, turn in radians, scale of the nominal plate."""

    shift: tuple[float, float]
    turn: float
    scale: float


def metal(rng: np.random.Generator, size: Size) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """One good plate: image uint8 (h, w, 3) and where its metal is, bool (h, w)."""
    pose = Pose(
        shift=(float(rng.normal(0, 0.006)), float(rng.normal(0, 0.006))),
        turn=float(rng.normal(0, 0.008)),
        scale=float(rng.normal(1, 0.004)),
    )
    depth = _plate(size, pose)  # pixels from the nearest edge, below 0 outside
    inside = 1 / (1 + np.exp(-depth * 1.6))
    light = _brushed(rng, size) + _chamfer(depth)
    tray = 0.085 + 0.012 * noise(rng, size, 1.2) + 0.01 * noise(rng, size, 30)
    tray = tray * (1 - 0.55 * _shadow(depth))
    grey = inside * light + (1 - inside) * tray
    image = grey[..., None] * (inside[..., None] * STEEL + (1 - inside[..., None]))
    image = image + rng.normal(0, 0.008, (*size, 3)).astype(np.float32)  # the camera
    return as_image(as_floats(image)), depth > 3


def _brushed(rng: np.random.Generator, size: Size) -> Floats:
    """Grooves along x over a soft highlight: what a line grain shows under one lamp."""
    rows, columns = grid(size)
    h, w = size
    y, x = rows / h - 0.5, columns / w - 0.5
    band = np.exp(-(((y + 0.35 * x - rng.normal(-0.08, 0.015)) / 0.34) ** 2))
    grain = (
        0.50 * noise(rng, size, (0.55, w / 9))
        + 0.34 * noise(rng, size, (0.4, w / 30))
        + 0.22 * noise(rng, size, (1.6, w / 5))
        + 0.20 * noise(rng, size, (0.3, 2.0))
    )
    cloud = 0.010 * noise(rng, size, min(size) / 6)
    lamp = 1 + float(rng.normal(0, 0.012))
    # Grooves shine where the highlight is: their contrast follows the brightness.
    return as_floats(lamp * (0.46 + 0.20 * band + cloud + (0.030 + 0.030 * band) * grain))


def _plate(size: Size, pose: Pose) -> Floats:
    """Signed distance in pixels to the plate's edge, holes included; positive on the metal."""
    rows, columns = grid(size)
    h, w = size
    side = min(size)
    x = (columns - w / 2) / side - pose.shift[0]
    y = (rows - h / 2) / side - pose.shift[1]
    x, y = (
        (x * np.cos(pose.turn) + y * np.sin(pose.turn)) / pose.scale,
        (y * np.cos(pose.turn) - x * np.sin(pose.turn)) / pose.scale,
    )
    half_w, half_h, corner = 0.44 * w / side, 0.40 * h / side, 0.06
    far = np.hypot(np.maximum(abs(x) - half_w + corner, 0), np.maximum(abs(y) - half_h + corner, 0))
    near = np.minimum(np.maximum(abs(x) - half_w, abs(y) - half_h) + corner, 0)
    plate = corner - far - near
    holes = [np.hypot(x - sign * (half_w - 0.13), y) - 0.055 for sign in (-1, 1)]
    return as_floats(np.minimum.reduce([plate, *holes]) * side)


def _chamfer(depth: Floats) -> Floats:
    """The bevelled rim: bright towards the lamp, dark away from it."""
    slope = np.stack([cv2.Sobel(depth, cv2.CV_32F, 1, 0), cv2.Sobel(depth, cv2.CV_32F, 0, 1)], -1)
    slope = slope / 8  # unit length where the distance is smooth
    rim = np.exp(-(((depth - 2.2) / 1.5) ** 2))
    return as_floats(rim * (slope @ -LAMP) * 0.30 - 0.05 * rim)


def _shadow(depth: Floats) -> Floats:
    """How dark the tray is beside the plate, on the side away from the lamp."""
    moved = as_floats([[1, 0, -LAMP[0] * 5], [0, 1, -LAMP[1] * 5]])
    near = cv2.warpAffine(
        (depth > 0).astype(np.float32), moved, depth.shape[::-1], borderMode=cv2.BORDER_REPLICATE
    )
    return as_floats(cv2.GaussianBlur(near, (0, 0), 3))
