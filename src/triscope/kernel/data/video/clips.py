"""From a video to the input of a network: which frames, how large, which squares."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from triscope.kernel.data.video.frames import Frames
from triscope.kernel.data.video.sampling import Numbers, crops, dense, segments, views

Sampling = Literal["segments", "dense"]
Seen = Literal["rgb", "difference", "flow"]
FAR = 8  # flow is told up to the side of the square divided by this


@dataclass(frozen=True)
class Cut:
    """How clips are cut; written into the card, so that a check reads as it was trained.

    ``sampling`` is one frame of each of equal parts, or frames in a row ``step`` apart; ``size``
    the side of the square; ``clips`` and ``crops`` the views of a test, whose answers are averaged.
    ``seen`` is what the network gets: colours; or by how much they changed from one frame to the
    next (128 grey: nothing moved); or one frame in colours and how each pixel moves (see
    :func:`frame_and_flow`).
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
        """Frames to read for a clip: what lies between two frames needs one more."""
        return self.frames + (self.seen != "rgb")

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
    """For what changes at spread frames each one needs the frame ``step`` before it."""
    if cut.seen == "rgb":
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
    """Frames (t, h, w, 3) as the network's (3, t, h, w), changed into what it sees."""
    seen = as_seen(pictures, cut.seen, paired=cut.sampling == "segments")
    return np.ascontiguousarray(seen.transpose(3, 0, 1, 2))


def as_seen(pictures: NDArray[np.uint8], seen: Seen, *, paired: bool) -> NDArray[np.uint8]:
    """Frames (t, h, w, 3) as they are, as differences, or as one frame and its flow.

    ``paired``: the frames are pairs that belong together; else each follows the one before.
    """
    if seen == "difference":
        return differences(pictures, paired=paired)
    return frame_and_flow(pictures, paired=paired) if seen == "flow" else pictures


def frame_and_flow(pictures: NDArray[np.uint8], *, paired: bool) -> NDArray[np.uint8]:
    """The middle frame in colours, then each field of flow as a picture: x, y, 128.

    Flow is that of :func:`dis`; the side over ``FAR`` is the furthest told, 128 is no motion.
    """
    import cv2

    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures]
    pairs = zip(grey[0::2], grey[1::2], strict=True) if paired else itertools.pairwise(grey)
    furthest = pictures.shape[1] / FAR
    shown = [pictures[len(pictures) // 2]]
    for before, now in pairs:
        field = np.clip(dis(before, now) / furthest, -1, 1)
        picture = np.full((*field.shape[:2], 3), 128, np.uint8)
        picture[..., :2] = np.rint(128 + 127 * field)
        shown.append(picture)
    return np.stack(shown)


def dis(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How each pixel of one grey frame moves to the other, (h, w, 2) pixels (arXiv:1603.03590)."""
    import cv2

    preset = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
    engine = cv2.DISOpticalFlow_create(preset)  # type: ignore[attr-defined]
    return np.asarray(engine.calc(one, other, None), np.float32)


def differences(pictures: NDArray[np.uint8], *, paired: bool) -> NDArray[np.uint8]:
    """By how much each frame differs from the one before, halved, around 128."""
    whole = pictures.astype(np.int16)
    change = whole[1::2] - whole[0::2] if paired else np.diff(whole, axis=0)
    return np.clip(128 + change, 0, 255).astype(np.uint8)
