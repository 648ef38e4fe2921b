"""How an image is brought to a size, and how coordinates follow there and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from triscope.kernel.geometry.boxes import as_boxes

Size = tuple[int, int]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """An image of ``image_hw`` resized to ``resized_hw`` and laid at (top, left) of ``out_hw``."""

    image_hw: Size
    resized_hw: Size
    out_hw: Size
    top: int = 0
    left: int = 0

    def image(self, image: NDArray[Any], fill: float = 0) -> NDArray[Any]:
        """The image (h, w[, c]) in its place; the rest is ``fill``."""
        placed = resize(image, self.resized_hw)
        h, w = self.resized_hw
        if self.out_hw == self.resized_hw:
            return placed
        out = np.full((*self.out_hw, *image.shape[2:]), fill, image.dtype)
        out[self.top : self.top + h, self.left : self.left + w] = placed
        return out

    def points(self, points: ArrayLike) -> Floats:
        """Points (..., 2) of the image, centres of pixels at integers, in the output."""
        return (np.asarray(points, np.float64) + 0.5) * self._scale + self._shift - 0.5

    def points_back(self, points: ArrayLike) -> Floats:
        """Points (..., 2) of the output in the image."""
        return (np.asarray(points, np.float64) + 0.5 - self._shift) / self._scale - 0.5

    def boxes(self, boxes: ArrayLike) -> Floats:
        """Boxes (n, 4) of the image in the output."""
        return as_boxes(boxes) * np.tile(self._scale, 2) + np.tile(self._shift, 2)

    def boxes_back(self, boxes: ArrayLike) -> Floats:
        """Boxes (n, 4) of the output in the image."""
        return (as_boxes(boxes) - np.tile(self._shift, 2)) / np.tile(self._scale, 2)

    @property
    def _scale(self) -> Floats:
        (h, w), (to_h, to_w) = self.image_hw, self.resized_hw
        return np.array([to_w / w, to_h / h])

    @property
    def _shift(self) -> Floats:
        return np.array([self.left, self.top], np.float64)


def stretch(image_hw: Size, out_hw: Size) -> Fit:
    """Fill the output; the proportions change."""
    return Fit(image_hw, out_hw, out_hw)


def letterbox(image_hw: Size, out_hw: Size, centred: bool = True) -> Fit:
    """As large as fits with its proportions; bars on both sides, or right and below."""
    scale = min(out_hw[0] / image_hw[0], out_hw[1] / image_hw[1])
    resized = _scaled(image_hw, scale)
    resized = (min(resized[0], out_hw[0]), min(resized[1], out_hw[1]))
    top, left = ((out - side) // 2 for out, side in zip(out_hw, resized, strict=True))
    return Fit(image_hw, resized, out_hw, top if centred else 0, left if centred else 0)


def short_side(image_hw: Size, side: int, longest: int | None = None) -> Fit:
    """The shorter side becomes ``side``, unless the longer one would exceed ``longest``."""
    scale = side / min(image_hw)
    if longest is not None:
        scale = min(scale, longest / max(image_hw))
    resized = _scaled(image_hw, scale)
    return Fit(image_hw, resized, resized)


def pad_to_multiple(image_hw: Size, multiple: int) -> Fit:
    """The image as it is, continued right and below to sides that ``multiple`` divides."""
    out = (-(-image_hw[0] // multiple) * multiple, -(-image_hw[1] // multiple) * multiple)
    return Fit(image_hw, image_hw, out)


def resize(image: NDArray[Any], hw: Size) -> NDArray[Any]:
    """The image (h, w[, c]) at another size: areas averaged to shrink, bilinear to enlarge.

    Bool masks take the nearest pixel.
    """
    if image.shape[:2] == tuple(hw):
        return image
    size = (hw[1], hw[0])
    if image.dtype == np.bool_:
        picked = cv2.resize(image.view(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT)
        return np.asarray(picked).view(np.bool_)
    shrinks = image.shape[0] >= hw[0] and image.shape[1] >= hw[1]
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=way))


def _scaled(hw: Size, scale: float) -> Size:
    """A side that would vanish keeps one pixel."""
    return max(1, round(hw[0] * scale)), max(1, round(hw[1] * scale))
