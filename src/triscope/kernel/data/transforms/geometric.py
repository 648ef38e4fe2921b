"""Geometric changes: flips, quarter turns, rotation, shift, scale, shear, crops."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.kernel.config import require
from triscope.kernel.data.transforms.view import Floats, View
from triscope.kernel.data.transforms.warp import MODES, Border, Warp

Generator = np.random.Generator
Range = tuple[float, float]


@dataclass(frozen=True)
class Flip:
    """Mirror left and right, or up and down, each with its chance. No pixel changes its value."""

    horizontal: float = 0.5  # chance of left for right
    vertical: float = 0.0  # chance of up for down

    def __post_init__(self) -> None:
        require(
            self,
            horizontal=(0 <= self.horizontal <= 1, "a chance in [0, 1]"),
            vertical=(0 <= self.vertical <= 1, "a chance in [0, 1]"),
        )

    def __call__(self, view: View, rng: Generator) -> View:
        if rng.random() < self.horizontal:
            view = flipped(view, 1)
        if rng.random() < self.vertical:
            view = flipped(view, 0)
        return view


@dataclass(frozen=True)
class QuarterTurn:
    """Turn by 0, 90, 180 or 270 degrees, each as likely. No pixel changes its value."""

    def __call__(self, view: View, rng: Generator) -> View:
        return turned(view, int(rng.integers(4)))


@dataclass(frozen=True)
class Affine:
    """Rotate, scale, shear and shift about the middle in one resampling."""

    degrees: Range = (0.0, 0.0)  # anticlockwise
    scale: Range = (1.0, 1.0)  # factor, drawn evenly in its logarithm
    shear: Range = (0.0, 0.0)  # degrees
    shift: Range = (0.0, 0.0)  # shares of the sides, drawn for each side
    border: Border = "fill"  # what stands where nothing was: fill, edge, reflect
    min_visible: float = 0.25  # boxes of which less is left are dropped

    def __post_init__(self) -> None:
        require(
            self,
            degrees=(self.degrees[0] <= self.degrees[1], "(least, most)"),
            scale=(0 < self.scale[0] <= self.scale[1], "(least, most), above 0"),
            shear=(-80 < self.shear[0] <= self.shear[1] < 80, "(least, most), within 80 degrees"),
            shift=(self.shift[0] <= self.shift[1], "(least, most)"),
            border=(self.border in MODES, f"one of {', '.join(MODES)}"),
            min_visible=(0 <= self.min_visible <= 1, "a share in [0, 1]"),
        )

    def __call__(self, view: View, rng: Generator) -> View:
        angle, shear = rng.uniform(*self.degrees), rng.uniform(*self.shear)
        factor = math.exp(rng.uniform(math.log(self.scale[0]), math.log(self.scale[1])))
        shift = rng.uniform(self.shift[0], self.shift[1], 2) * view.hw[::-1]
        matrix = about_middle(_linear(angle, factor, shear), view.hw, shift)
        return Warp(matrix, view.hw, self.border, self.min_visible)(view)


@dataclass(frozen=True)
class Crop:
    """A window of ``size`` (h, w); a smaller image is filled up right and below.

    With the chance ``at_labels`` the window holds the middle of one box, or one pixel of the mask.
    """

    size: tuple[int, int]
    at_labels: float = 0.0
    border: Border = "fill"
    min_visible: float = 0.25

    def __post_init__(self) -> None:
        require(
            self,
            size=(len(self.size) == 2 and min(self.size) >= 1, "(h, w) in pixels, 1 or more"),
            at_labels=(0 <= self.at_labels <= 1, "a chance in [0, 1]"),
            border=(self.border in MODES, f"one of {', '.join(MODES)}"),
            min_visible=(0 <= self.min_visible <= 1, "a share in [0, 1]"),
        )

    def __call__(self, view: View, rng: Generator) -> View:
        room = [max(0, side - out) for side, out in zip(view.hw, self.size, strict=True)]
        top, left = (int(rng.integers(space + 1)) for space in room)
        target = _a_label(view, rng) if rng.random() < self.at_labels else None
        if target is not None:
            top = _around(target[1], self.size[0], room[0], rng)
            left = _around(target[0], self.size[1], room[1], rng)
        warp = Warp(_shifted(-left, -top), self.size, self.border, self.min_visible)
        if min(side - out for side, out in zip(view.hw, self.size, strict=True)) < 0:
            return warp(view)
        window = (slice(top, top + self.size[0]), slice(left, left + self.size[1]))
        return _exact(view, warp, lambda array, plane: array[(slice(None),) * plane[0] + window])


def flipped(view: View, axis: int) -> View:
    """The view mirrored along rows (0: up and down) or columns (1: left and right)."""
    h, w = view.hw
    matrix = np.array([[-1, 0, w - 1], [0, 1, 0], [0, 0, 1]], np.float64)
    if axis == 0:
        matrix = np.array([[1, 0, 0], [0, -1, h - 1], [0, 0, 1]], np.float64)
    return _exact(view, Warp(matrix, (h, w)), lambda array, plane: np.flip(array, plane[axis]))


def turned(view: View, quarters: int) -> View:
    """The view turned anticlockwise by quarters."""
    quarters %= 4
    h, w = view.hw
    cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarters]
    out = (h, w) if quarters % 2 == 0 else (w, h)
    linear = np.array([[cos, sin], [-sin, cos]], np.float64)
    middle, new = np.array([w - 1, h - 1]) / 2, np.array([out[1] - 1, out[0] - 1]) / 2
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = new - linear @ middle
    return _exact(view, Warp(matrix, out), lambda array, plane: np.rot90(array, quarters, plane))


def _exact(view: View, warp: Warp, change: Any) -> View:
    """Arrays changed without resampling, coordinates by the matrix."""

    def done(array: NDArray[Any] | None, plane: tuple[int, int] = (0, 1)) -> Any:
        return None if array is None else np.ascontiguousarray(change(array, plane))

    return warp.coordinates(view, done(view.image), done(view.mask), done(view.masks, (1, 2)))


def about_middle(linear: Floats, hw: tuple[int, int], shift: Floats) -> Floats:
    """The matrix (3, 3) of a linear map about the middle of the image and a shift (x, y)."""
    middle = np.array([hw[1] - 1, hw[0] - 1]) / 2
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = middle + shift - linear @ middle
    return matrix


def _linear(degrees: float, factor: float, shear: float) -> Floats:
    """Rotation anticlockwise as seen (y points down), after a shear along x."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    lean = np.array([[1, math.tan(math.radians(shear))], [0, 1]])
    return np.asarray(factor * np.array([[cos, sin], [-sin, cos]]) @ lean)


def _shifted(x: float, y: float) -> Floats:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def _a_label(view: View, rng: Generator) -> tuple[float, float] | None:
    if len(view.boxes):
        x0, y0, x1, y1 = view.boxes[int(rng.integers(len(view.boxes)))]
        return (x0 + x1) / 2, (y0 + y1) / 2
    if view.mask is not None and view.mask.any():
        rows, columns = np.nonzero(view.mask)
        one = int(rng.integers(len(rows)))
        return float(columns[one]), float(rows[one])
    return None


def _around(at: float, size: int, room: int, rng: Generator) -> int:
    """Where a window of this size begins that holds ``at``."""
    low, high = max(0, math.floor(at) - size + 1), min(room, math.floor(at))
    return int(rng.integers(min(low, room), max(high, min(low, room)) + 1))
