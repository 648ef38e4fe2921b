"""A canvas: things are painted on it with light and shadow, and it knows whose pixel is whose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.segment.synth import fields
from triscope.segment.synth.outlines import Contour

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Window = tuple[slice, slice]

SUBPIXEL_BITS = 4  # of corner positions when a contour is filled


@dataclass(frozen=True)
class Look:
    """What a surface looks like: colours RGB in [0, 1] and where the second one shows."""

    colour: Floats
    second: Floats
    texture: fields.Field
    shape: float  # how strongly light follows the shape; 0 is flat
    gloss: float  # strength of the highlight
    clarity: float = 1.0  # below 1 the ground shines through: stains, faint defects


@dataclass
class Canvas:
    """Image float32 (h, w, 3) in [0, 1] and the number of the piece that each pixel shows."""

    rng: np.random.Generator
    image: Floats
    pieces: NDArray[np.int16]
    light: Floats  # direction (x, y) that light comes from
    count: int = 0
    groups: list[tuple[int, ...]] = field(default_factory=list)

    @classmethod
    def empty(cls, rng: np.random.Generator, hw: tuple[int, int]) -> Canvas:
        angle = rng.uniform(0, 2 * np.pi)
        light = np.array([np.cos(angle), np.sin(angle)], np.float32)
        return cls(rng, np.zeros((*hw, 3), np.float32), np.zeros(hw, np.int16), light)

    @property
    def hw(self) -> tuple[int, int]:
        """Size (h, w) of the image."""
        return self.pieces.shape[0], self.pieces.shape[1]

    def new_piece(self) -> int:
        """A number for a piece that is going to be painted."""
        self.count += 1
        return self.count

    def paint(
        self, cover: Floats, window: Window, look: Look, piece: int, within: Sequence[int] = ()
    ) -> None:
        """Paint where ``cover`` (h, w) in [0, 1] says, only over the pieces ``within`` if any."""
        if within:
            cover = cover * np.isin(self.pieces[window], within)
        size = (cover.shape[0], cover.shape[1])
        texture = look.texture(self.rng, size)[:, :, None]
        paint = look.colour + (look.second - look.colour) * texture
        if look.shape:
            paint = self._lit(paint, cover, look)
        ground = self.image[window]
        ground += (cover * np.float32(look.clarity))[:, :, None] * (paint - ground)
        self.pieces[window][cover > 0.5] = piece

    def shade(self, cover: Floats, window: Window, reach: float, strength: float) -> None:
        """The shadow of a thing about to be painted: soft, away from the light."""
        grown, inner = _grown(window, int(3 * reach) + 2, self.hw)
        dark = np.zeros(
            (grown[0].stop - grown[0].start, grown[1].stop - grown[1].start), np.float32
        )
        dark[inner] = cover
        shift = np.array(
            [[1, 0, -self.light[0] * reach], [0, 1, -self.light[1] * reach]], np.float32
        )
        dark = cv2.warpAffine(dark, shift, (dark.shape[1], dark.shape[0]))
        dark = cv2.GaussianBlur(dark, (0, 0), max(0.5, reach * 0.6))
        self.image[grown] *= 1 - np.float32(strength) * dark[:, :, None]

    def mirror(self, thing: Bools, polish: float) -> None:
        """What a polished ground shows of a thing (h, w) that stands on it: fainter and blurred."""
        rows = np.flatnonzero(thing.any(axis=1))
        if not len(rows):
            return
        base = int(rows[-1]) + 1
        count = min(base, self.hw[0] - base)
        if count < 2:
            return
        cover = thing[base - count : base][::-1].astype(np.float32)
        sigma = float(self.rng.uniform(0.5, 3)) * self.hw[0] / 256
        seen = cv2.GaussianBlur(
            self.image[base - count : base][::-1] * cover[:, :, None], (0, 0), sigma
        )
        cover = np.asarray(cv2.GaussianBlur(cover, (0, 0), sigma), np.float32)
        fading = np.linspace(1, self.rng.uniform(0, 0.8), count, dtype=np.float32)
        strength = np.float32(polish) * fading[:, None, None]
        ground = self.image[base : base + count]
        ground += strength * (seen - cover[:, :, None] * ground)

    def defocus(self, sigma: float) -> None:
        """Blur all that was painted so far."""
        self.image[:] = cv2.GaussianBlur(self.image, (0, 0), sigma)

    def _lit(self, paint: Floats, cover: Floats, look: Look) -> Floats:
        """Brighter towards the light, darker away from it, with a highlight where it faces it."""
        reach = 0.12 * max(cover.shape) * float(self.rng.uniform(0.3, 1.5))
        height = cv2.GaussianBlur(cover, (0, 0), max(reach, 0.8))
        slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3)
        slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3)
        towards = (slope_x * -self.light[0] + slope_y * -self.light[1]) * reach
        bright = 1 + look.shape * np.clip(towards, -0.9, 0.9)
        shine = look.gloss * np.clip((towards - 0.2) * 3, 0, 1) ** 2
        return np.asarray(paint * bright[:, :, None] + shine[:, :, None], np.float32)


def filled(contours: Sequence[Contour], hw: tuple[int, int]) -> tuple[Floats, Window] | None:
    """Cover float32 in [0, 1] of contours in pixels inside their window; None if outside."""
    points = np.concatenate(contours)
    low = np.floor(points.min(axis=0)).astype(int) - 1
    high = np.ceil(points.max(axis=0)).astype(int) + 2
    x0, y0 = np.maximum(low, 0)
    x1, y1 = np.minimum(high, [hw[1], hw[0]])
    if x1 - x0 < 2 or y1 - y0 < 2:
        return None
    scaled = [
        np.round((contour - [x0, y0]) * (1 << SUBPIXEL_BITS)).astype(np.int32)
        for contour in contours
    ]
    cover = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.fillPoly(cover, scaled, 255, cv2.LINE_AA, SUBPIXEL_BITS)
    return (cover / 255).astype(np.float32), (slice(y0, y1), slice(x0, x1))


def _grown(window: Window, by: int, hw: tuple[int, int]) -> tuple[Window, Window]:
    """The window with a margin, and where the old one lies inside it."""
    outer, inner = [], []
    for old, length in zip(window, hw, strict=True):
        start, stop = max(old.start - by, 0), min(old.stop + by, length)
        outer.append(slice(start, stop))
        inner.append(slice(old.start - start, old.stop - start))
    return (outer[0], outer[1]), (inner[0], inner[1])
