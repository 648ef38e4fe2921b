"""Videos out: frames to an MPEG-4 file that every player opens."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.errors import needs_extra


class VideoWriter:
    """Writes RGB frames (h, w, 3) one by one; sides are cut to even numbers."""

    def __init__(self, path: Path, rate: float) -> None:
        try:
            import av
        except ImportError as error:
            raise needs_extra("writing video", "motion", "av") from error
        self._av = av
        self._container = av.open(str(path), "w")
        self._rate = Fraction(rate).limit_denominator(1000)
        self._stream: Any = None

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, frame: NDArray[np.uint8]) -> None:
        """One more frame."""
        h, w = (side // 2 * 2 for side in frame.shape[:2])
        if self._stream is None:
            self._stream = self._container.add_stream("mpeg4", rate=self._rate)
            self._stream.height, self._stream.width = h, w
            self._stream.pix_fmt = "yuv420p"
            self._stream.bit_rate = max(2_000_000, 8 * h * w)
        picture = self._av.VideoFrame.from_ndarray(
            np.ascontiguousarray(frame[:h, :w]), format="rgb24"
        )
        for packet in self._stream.encode(picture):
            self._container.mux(packet)

    def close(self) -> None:
        """Write what is left and let the file go."""
        if self._stream is not None:
            for packet in self._stream.encode():
                self._container.mux(packet)
        self._container.close()


def write_video(path: Path, frames: Iterable[NDArray[np.uint8]], rate: float) -> Path:
    """All the frames as one file."""
    with VideoWriter(path, rate) as writer:
        for frame in frames:
            writer.add(frame)
    return path
