"""From a video to the input of a network: which frames, how large, which squares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from triscope.kernel.data.video.file import Frames
from triscope.kernel.data.video.sampling import Numbers, crops, dense, segments, views

Sampling = Literal["segments", "dense"]
Seen = Literal["rgb", "difference"]


@dataclass(frozen=True)
class Cut:
    """How clips are cut; written into the card, so that a check reads as it was trained.

    ``sampling`` is one frame of each of equal parts, or frames in a row ``step`` apart; ``size``
    the side of the square; ``clips`` and ``crops`` the views of a test, whose answers are averaged.
    ``seen`` is what the network gets: colours, or by how much they changed from one frame to the
    next (128 grey: nothing moved).
    """

    frames: int = 8
    size: int = 112
    sampling: Sampling = "segments"
    step: int = 1
    clips: int = 1
    crops: int = 1
    seen: Seen = "rgb"
    square: bool = False  # the whole frame pressed into the square, instead of a crop

    @property
    def read_frames(self) -> int:
        """Frames to read for a clip: differences need one more."""
        return self.frames + (self.seen == "difference")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the card."""
        return asdict(self)


def cut_of(plain: Mapping[str, Any]) -> Cut:
    """The Cut that a card holds."""
    return Cut(**{name: plain[name] for name in Cut.__dataclass_fields__ if name in plain})


def numbers_of(total: int, cut: Cut, rng: np.random.Generator | None = None) -> list[Numbers]:
    """The frames of each clip: one clip at random with a generator, else those of a test."""
    if rng is not None or cut.clips == 1:
        return [_one(total, cut, rng)]
    if cut.sampling == "dense":
        return views(total, cut.read_frames, cut.step, cut.clips)
    shifts = (np.arange(cut.clips) + 0.5) / cut.clips
    return [_shifted(total, cut, float(shift)) for shift in shifts]


def _one(total: int, cut: Cut, rng: np.random.Generator | None) -> Numbers:
    if cut.sampling == "dense":
        return dense(total, cut.read_frames, cut.step, rng)
    numbers = segments(total, cut.frames, rng)
    return _pairs(numbers, total, cut)


def _shifted(total: int, cut: Cut, shift: float) -> Numbers:
    edges = np.linspace(0, total, cut.frames + 1)
    numbers = np.floor(edges[:-1] + shift * np.diff(edges)).astype(np.int64)
    return _pairs(np.minimum(numbers, total - 1), total, cut)


def _pairs(numbers: Numbers, total: int, cut: Cut) -> Numbers:
    """For differences of spread frames each one needs the frame ``step`` before it."""
    if cut.seen != "difference":
        return numbers
    before = np.maximum(numbers - cut.step, 0)
    return np.stack([before, np.maximum(numbers, np.minimum(before + 1, total - 1))], 1).ravel()


def read_clip(frames: Frames, cut: Cut, rng: np.random.Generator | None = None) -> NDArray[Any]:
    """Clips uint8 (rows, 3, t, size, size), a row a view: clips times crops, or one at random."""
    rows = []
    for numbers in numbers_of(len(frames), cut, rng):
        pictures = frames.read(list(numbers), 0 if cut.square else cut.size)
        rows += [to_rows(piece, cut) for piece in squares(pictures, cut, 1 if rng else cut.crops)]
    return np.stack(rows)


def squares(pictures: NDArray[np.uint8], cut: Cut, count: int) -> list[NDArray[np.uint8]]:
    """Squares (t, size, size, 3) of frames (t, h, w, 3)."""
    if cut.square:
        import cv2

        side = (cut.size, cut.size)
        pressed = [cv2.resize(p, side, interpolation=cv2.INTER_AREA) for p in pictures]
        return [np.stack(pressed)]
    corners = crops(pictures.shape[1:3], cut.size, count)
    return [pictures[:, y : y + cut.size, x : x + cut.size] for y, x in corners]


def to_rows(pictures: NDArray[np.uint8], cut: Cut) -> NDArray[np.uint8]:
    """Frames (t, h, w, 3) as the network's (3, t, h, w), differences taken where it sees them."""
    if cut.seen == "difference":
        pictures = differences(pictures, paired=cut.sampling == "segments")
    return np.ascontiguousarray(pictures.transpose(3, 0, 1, 2))


def differences(pictures: NDArray[np.uint8], *, paired: bool) -> NDArray[np.uint8]:
    """By how much each frame differs from the one before, halved, around 128."""
    whole = pictures.astype(np.int16)
    change = whole[1::2] - whole[0::2] if paired else np.diff(whole, axis=0)
    return np.clip(128 + change, 0, 255).astype(np.uint8)
