"""A check that labels frames on a live stream: frame by frame, at its own rate, with its state.

No torch. The check must have been fitted to look back only; what it then answers online for each
frame is what it answers for the whole video.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.errors import CheckError
from triscope.kernel.runtime.check import Check
from triscope.kernel.runtime.label import softmax
from triscope.kernel.runtime.online import ONLINE, Frame, Glance

SAME = 1e-6  # seconds; times closer than that are one


class LabelStream:
    """Takes frames as they come and looks at those shown at 0, 1 / rate, 2 / rate ... seconds."""

    def __init__(self, check: Check) -> None:
        if ONLINE not in check.card.graphs:
            raise CheckError(
                f"{check.label} labels whole videos: watching needs a check that looks back only "
                "and keeps its state, as 'triscope fit ms_tcn DATA --causal' makes it."
            )
        self.check = check
        read = check.card.input
        self.rate, self.side, self.lag = float(read["rate"]), int(read["size"]), int(read["lag"])
        self._shapes = read["state"]
        self.reset()

    def reset(self) -> None:
        """Forget everything seen, after a gap."""
        self._state = {
            f"state_{i}": np.zeros(shape, np.float32) for i, shape in enumerate(self._shapes)
        }
        self._start_s: float | None = None
        self._count = 0  # frames that were looked at
        self._shown: NDArray[np.float32] | None = None  # the frame that is on now
        self._pair: tuple[Any, Any] | None = None  # the last frame looked at and the one before

    def see(self, frame: Frame, time_s: float) -> list[Glance]:
        """One frame RGB (h, w, 3); what is known by it of the times before."""
        if self._start_s is None:
            self._start_s = time_s
        found = []
        while self._shown is not None and self._due() < time_s - SAME:
            found += self._look(self._shown, time_s)
        self._shown = self._small(frame)
        if self._due() <= time_s + SAME:
            found += self._look(self._shown, time_s)
        return found

    def end(self) -> list[Glance]:
        """The stream is over: the answers that a lagging network still owes."""
        if self._pair is None:
            return []
        frame, before = self._pair
        return [g for _ in range(self.lag) for g in self._answer(frame, before, self._due())]

    def _due(self) -> float:
        return (self._start_s or 0.0) + self._count / self.rate

    def _look(self, frame: NDArray[np.float32], now_s: float) -> list[Glance]:
        before = frame if self._pair is None else self._pair[0]
        self._pair = (frame, before)
        return self._answer(frame, before, now_s)

    def _answer(self, frame: Any, before: Any, now_s: float) -> list[Glance]:
        out = self.check.engines[ONLINE].run({"frame": frame, "before": before, **self._state})
        self._state = {name: out[f"next_{name.removeprefix('state_')}"] for name in self._state}
        number = self._count - self.lag
        self._count += 1
        if number < 0:
            return []
        sure = np.asarray(softmax(np.asarray(out["logits"], np.float64))[0])
        return [Glance((self._start_s or 0.0) + number / self.rate, sure, now_s)]

    def _small(self, frame: Frame) -> NDArray[np.float32]:
        """The whole frame pressed into the square, in two steps as a video is read."""
        import cv2

        from triscope.kernel.data.video.frames import scaled

        h, w = scaled(frame.shape[:2], self.side)
        small = frame
        if (h, w) != frame.shape[:2]:
            small = cv2.resize(frame, (w, h), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        square = cv2.resize(small, (self.side, self.side), interpolation=cv2.INTER_AREA)
        plain = np.ascontiguousarray(square.transpose(2, 0, 1)[None])
        return np.asarray(plain.astype(np.float32) / np.float32(255))
