"""How an image lies in the square that a network reads, and back; NumPy and OpenCV only.

The longest side becomes the side of the square, pixels are normalised, the rest is padded right
and bottom (arXiv:2304.02643 appendix A). Coordinates are scaled, not shifted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from triscope.errors import UnreadableImage
from triscope.segment._resample import resize

PIXEL_MEAN = (123.675, 116.28, 103.53)  # of RGB in 0..255
PIXEL_STD = (58.395, 57.12, 57.375)

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Frame:
    """One image size (h, w) in a square of ``side`` pixels."""

    image_hw: tuple[int, int]
    side: int = 1024

    @property
    def resized_hw(self) -> tuple[int, int]:
        """Size of the image inside the square; a side that would vanish keeps one pixel."""
        h, w = self.image_hw
        scale = self.side / max(h, w)
        return max(int(h * scale + 0.5), 1), max(int(w * scale + 0.5), 1)

    def points_in(self, xy: ArrayLike) -> NDArray[np.float64]:
        """Points (..., 2) of the image in pixels of the square."""
        h, w = self.resized_hw
        scale = np.array([w / self.image_hw[1], h / self.image_hw[0]])
        return np.asarray(xy, np.float64) * scale

    def points_out(self, xy: ArrayLike) -> NDArray[np.float64]:
        """Points (..., 2) of the square in pixels of the image."""
        h, w = self.resized_hw
        return np.asarray(xy, np.float64) * [self.image_hw[1] / w, self.image_hw[0] / h]

    def boxes_in(self, xyxy: ArrayLike) -> NDArray[np.float64]:
        """Boxes (..., 4) of the image in pixels of the square."""
        boxes = np.asarray(xyxy, np.float64)
        return self.points_in(boxes.reshape(*boxes.shape[:-1], 2, 2)).reshape(boxes.shape)

    def resize(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The image (h, w, 3) at the size that it has in the square."""
        return resize(image, self.resized_hw)

    def pixels(self, image: NDArray[np.uint8]) -> Floats:
        """The network's input float32 (1, 3, side, side): resized, normalised, padded."""
        small = self.resize(image).astype(np.float32)
        normal = (small - np.array(PIXEL_MEAN, np.float32)) / np.array(PIXEL_STD, np.float32)
        h, w = self.resized_hw
        out = np.zeros((1, 3, self.side, self.side), np.float32)
        out[0, :, :h, :w] = normal.transpose(2, 0, 1)
        return out

    def logits_out(self, low: Floats) -> Floats:
        """One map of logits (l, l) over the square at the size of the image, float32 (h, w).

        Up to the square, cut to the image, then to its size, each bilinear, as published.
        """
        h, w = self.resized_hw
        square = cv2.resize(low, (self.side, self.side), interpolation=cv2.INTER_LINEAR)
        size_wh = (self.image_hw[1], self.image_hw[0])
        return np.asarray(
            cv2.resize(
                np.ascontiguousarray(square[:h, :w]), size_wh, interpolation=cv2.INTER_LINEAR
            )
        )

    def mask_in(self, mask: Bools, size: int, certainty: float = 8.0) -> Floats:
        """A mask of the image as a mask prompt: logits float32 (size, size) of +-``certainty``."""
        h, w = self.resized_hw
        small = cv2.resize(mask.astype(np.float32), (w, h), interpolation=cv2.INTER_AREA)
        square = np.zeros((self.side, self.side), np.float32)
        square[:h, :w] = small
        low = cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)
        return np.asarray((2 * low - 1) * np.float32(certainty))


def as_rgb(image: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Bytes (h, w, 3) of an image (h, w) or (h, w, 3 or 4), uint8 or uint16; a copy if needed."""
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise UnreadableImage(f"an image is (h, w) or (h, w, 3), got shape {image.shape}")
    if 0 in image.shape:
        raise UnreadableImage(f"an image has pixels, got shape {image.shape}")
    if image.dtype not in (np.uint8, np.uint16):
        raise UnreadableImage(
            f"an image is uint8 or uint16, got {image.dtype}. "
            "Floats in [0, 1] become (255 * image).round().astype('uint8')."
        )
    planes: NDArray[Any] = image.reshape(*image.shape[:2], -1)[:, :, :3]
    if image.dtype == np.uint16:
        planes = (planes.astype(np.uint32) + 128) // 257
    if planes.shape[2] == 1:
        planes = np.repeat(planes, 3, axis=2)
    return np.asarray(planes, np.uint8)
