"""Changes of clips in training: the same for all frames of a clip, labels kept true.

Frames are uint8 (t, h, w, 3). What turns one action into another is declared: a flip swaps the
labels of ``flip_labels`` and is left out for those that have a direction and no partner.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadSettings

Frames = NDArray[np.uint8]
Generator = np.random.Generator


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a clip in training; numbers as in the papers named behind them."""

    size: int
    scales: tuple[float, ...] = (1.0, 0.875, 0.75, 0.66)  # of the crop's side (TSN)
    flip: bool = True
    flip_labels: Mapping[str, str] | None = None  # label -> label of the mirrored action
    one_way: tuple[str, ...] = ()  # labels that must not be mirrored
    jitter: float = 0.4  # brightness, contrast and saturation (SlowFast)
    operations: int = 0  # of RandAugment
    magnitude: float = 7.0  # of RandAugment, 0 to 10
    still: bool = False  # differences of frames: colours mean motion and are left alone

    def __call__(self, frames: Frames, label: str, rng: Generator) -> tuple[Frames, str]:
        """A changed clip (t, size, size, 3) and its label."""
        frames = crop(frames, self.size, self.scales, rng)
        if self.flip and label not in self.one_way and rng.random() < 0.5:
            frames = frames[:, :, ::-1]
            label = (self.flip_labels or {}).get(label, label)
        if not self.still:
            frames = colour_jitter(frames, self.jitter, rng)
            for _ in range(self.operations):
                name = str(rng.choice(list(OPERATIONS)))
                frames = OPERATIONS[name](frames, self.magnitude / 10 * rng.choice((-1.0, 1.0)))
        return np.ascontiguousarray(frames), label


def flip_rules(text: str) -> dict[str, str]:
    """``left=right, pull=push`` as a table that leads both ways."""
    rules: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        one, found, other = (piece.strip() for piece in part.partition("="))
        if not (one and found and other):
            raise BadSettings(f"flip_labels={text!r}: expected pairs such as 'left=right'.")
        rules |= {one: other, other: one}
    return rules


def crop(frames: Frames, size: int, scales: tuple[float, ...], rng: Generator) -> Frames:
    """A rectangle whose sides are of the scales, anywhere, as a square of ``size``."""
    h, w = frames.shape[1:3]
    side = min(h, w)
    sides = [max(1, round(side * float(s))) for s in rng.choice(scales, 2)]
    y, x = (int(rng.integers(whole - part + 1)) for whole, part in zip((h, w), sides, strict=True))
    part = frames[:, y : y + sides[0], x : x + sides[1]]
    return resized(part, size)


def resized(frames: Frames, size: int) -> Frames:
    """Frames as squares of ``size``."""
    if frames.shape[1:3] == (size, size):
        return frames
    kind = cv2.INTER_AREA if frames.shape[1] > size else cv2.INTER_LINEAR
    return np.stack([cv2.resize(f, (size, size), interpolation=kind) for f in frames])


def colour_jitter(frames: Frames, strength: float, rng: Generator) -> Frames:
    """Brightness, contrast and saturation by factors in [1 - strength, 1 + strength]."""
    if strength <= 0:
        return frames
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, 3)
    values = frames.astype(np.float32) * brightness
    values = (values - values.mean()) * contrast + values.mean()
    grey = values.mean(axis=3, keepdims=True)
    return np.clip(grey + (values - grey) * saturation, 0, 255).astype(np.uint8)


def _warped(frames: Frames, matrix: NDArray[Any]) -> Frames:
    h, w = frames.shape[1:3]
    kind = {"borderMode": cv2.BORDER_REFLECT_101}
    return np.stack([cv2.warpAffine(f, matrix, (w, h), **kind) for f in frames])  # type: ignore[call-overload]


def _rotate(frames: Frames, m: float) -> Frames:
    h, w = frames.shape[1:3]
    return _warped(frames, cv2.getRotationMatrix2D(((w - 1) / 2, (h - 1) / 2), 30 * m, 1.0))


def _shear_x(frames: Frames, m: float) -> Frames:
    return _warped(frames, np.array([[1, 0.3 * m, -0.15 * m * frames.shape[1]], [0, 1, 0]]))


def _shear_y(frames: Frames, m: float) -> Frames:
    return _warped(frames, np.array([[1, 0, 0], [0.3 * m, 1, -0.15 * m * frames.shape[2]]]))


def _shift_x(frames: Frames, m: float) -> Frames:
    return _warped(frames, np.array([[1, 0, 0.3 * m * frames.shape[2]], [0, 1, 0.0]]))


def _shift_y(frames: Frames, m: float) -> Frames:
    return _warped(frames, np.array([[1, 0, 0.0], [0, 1, 0.3 * m * frames.shape[1]]]))


def _posterise(frames: Frames, m: float) -> Frames:
    keep = 8 - round(4 * abs(m))
    return frames & np.uint8(256 - (1 << (8 - keep)))


def _solarise(frames: Frames, m: float) -> Frames:
    line = 256 - round(128 * abs(m))
    return np.where(frames >= line, 255 - frames, frames).astype(np.uint8)


def _stretch(frames: Frames, _m: float) -> Frames:
    low, high = float(frames.min()), float(frames.max())
    return ((frames - low) * (255 / max(high - low, 1))).astype(np.uint8)


def _equalise(frames: Frames, _m: float) -> Frames:
    counts = np.bincount(frames.ravel(), minlength=256).cumsum()
    table = ((counts - counts[0]) * 255 / max(counts[-1] - counts[0], 1)).astype(np.uint8)
    return table[frames]


def _sharpen(frames: Frames, m: float) -> Frames:
    soft = np.stack([cv2.blur(f, (3, 3)) for f in frames]).astype(np.float32)
    return np.clip(soft + (frames - soft) * (1 + 0.9 * m), 0, 255).astype(np.uint8)


# RandAugment's operations (arXiv:1909.13719), each with a strength in [-1, 1].
OPERATIONS: Mapping[str, Callable[[Frames, float], Frames]] = {
    "rotate": _rotate,
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "shift_x": _shift_x,
    "shift_y": _shift_y,
    "posterise": _posterise,
    "solarise": _solarise,
    "stretch": _stretch,
    "equalise": _equalise,
    "sharpen": _sharpen,
}
