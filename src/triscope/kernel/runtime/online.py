"""A check on a live stream: frame by frame with its own state, or by a window that slides.

No torch. A check with a graph ``online`` computes each frame once and keeps what the next one
needs; any other keeps the newest frames and answers each ``stride`` of them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.errors import CheckError
from triscope.kernel.data.video import cut_of
from triscope.kernel.data.video.clips import as_seen, differences
from triscope.kernel.data.video.frames import scaled
from triscope.kernel.runtime.check import Check
from triscope.kernel.runtime.label import softmax

ONLINE = "online"
Frame = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Glance:
    """What a check thinks of one time: probabilities (k,), and when it was known."""

    time_s: float
    probabilities: NDArray[np.float64]
    known_s: float


class Stream:
    """Feeds frames to a check of clips; ``feed`` answers, or None while it has seen too little."""

    def __init__(self, check: Check, *, stride: int = 4) -> None:
        if check.answers != "Moments" or check.card.input.get("kind") == "timeline":
            raise CheckError(
                f"{check.label} answers {check.answers}: watching needs a check that was fitted "
                "on clips, as tsm or x3d."
            )
        self.check, self.stride = check, max(1, stride)
        self.cut = cut_of(check.card.input)
        self.online = ONLINE in check.card.graphs
        self._state: dict[str, Any] | None = None
        spread = self.cut.step if self.cut.sampling == "dense" else 1
        self._spread = max(1, spread)
        before = self.cut.step if self.cut.seen == "difference" else 0
        length = before + 1 if self.online else (self.cut.read_frames - 1) * self._spread + 1
        self._frames: deque[Frame] = deque(maxlen=max(1, length))
        self._count = 0

    def reset(self) -> None:
        """Forget everything seen, after a gap."""
        self._state, self._count = None, 0
        self._frames.clear()

    def see(self, frame: Frame, time_s: float) -> list[Glance]:
        """One frame RGB (h, w, 3); what is known by it."""
        glance = self.feed(frame, time_s)
        return [] if glance is None else [glance]

    def end(self) -> list[Glance]:
        """The stream is over: nothing is owed."""
        return []

    def feed(self, frame: Frame, time_s: float) -> Glance | None:
        """One frame RGB (h, w, 3)."""
        self._frames.append(self._small(frame))
        self._count += 1
        if self.online:
            return self._one(time_s)
        if len(self._frames) < (self._frames.maxlen or 1) or self._count % self.stride:
            return None
        window = np.stack(list(self._frames)[:: self._spread])
        clip = as_seen(window, self.cut.seen, paired=False)
        inputs = {"clips": _input(clip)[None]}
        return Glance(time_s, _sure(self.check.engine.run(inputs)["logits"]), time_s)

    def _one(self, time_s: float) -> Glance | None:
        now = self._frames[-1]
        if self.cut.seen == "difference":
            if len(self._frames) < 2:
                return None
            pair = np.stack([self._frames[0], now])
            now = differences(pair, paired=True)[0]
        engine = self.check.engines[ONLINE]
        if self._state is None:
            shapes = self.check.card.input["state"]
            self._state = {
                f"state_{i}": np.zeros(shape, np.float32) for i, shape in enumerate(shapes)
            }
        out = engine.run({"frame": _input(now[None])[None, :, 0], **self._state})
        self._state = {name: out[f"next_{name.removeprefix('state_')}"] for name in self._state}
        return Glance(time_s, _sure(out["logits"]), time_s)

    def _small(self, frame: Frame) -> Frame:
        """The square that the network sees."""
        import cv2

        side = self.cut.size
        if self.cut.square:
            kind = cv2.INTER_AREA if frame.shape[0] > side else cv2.INTER_LINEAR
            return np.asarray(cv2.resize(frame, (side, side), interpolation=kind), np.uint8)
        h, w = scaled(frame.shape[:2], side)
        small = cv2.resize(frame, (w, h), interpolation=cv2.INTER_AREA)
        y, x = (h - side) // 2, (w - side) // 2
        return np.asarray(small[y : y + side, x : x + side], np.uint8)


def _input(frames: Frame) -> NDArray[np.float32]:
    """Frames (t, h, w, 3) as (3, t, h, w) in [0, 1]."""
    return np.ascontiguousarray(frames.transpose(3, 0, 1, 2)).astype(np.float32) / np.float32(255)


def _sure(logits: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(softmax(np.asarray(logits, np.float64))[0])
