"""Small films whose frames carry their number."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np


def painted(number: int, h: int = 48, w: int = 96) -> np.ndarray:
    """A frame that carries its number as six black or white bars."""
    picture = np.full((h, w, 3), 90, np.uint8)
    for bit in range(6):
        picture[: h // 2, bit * 16 : bit * 16 + 16] = 255 if number >> bit & 1 else 0
    return picture


def number_of(frame: np.ndarray) -> int:
    h, w = frame.shape[:2]
    bars = [
        frame[h // 8 : h // 4, int(w * (b + 0.3) / 6) : int(w * (b + 0.7) / 6)] for b in range(6)
    ]
    return sum(1 << bit for bit, bar in enumerate(bars) if bar.mean() > 127)


def write(
    path: Path, count: int, gop: int = 12, stamps: list[int] | None = None, **more: Any
) -> Path:
    """H.264 with the frame's number in each frame; ``stamps`` in 1/90000 s."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=30, options={"crf": "18", "g": str(gop)})
        stream.width, stream.height, stream.pix_fmt = 96, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 90000)
        stream.time_base = Fraction(1, 90000)
        for i in range(count):
            frame = av.VideoFrame.from_ndarray(painted(i), format="rgb24")
            frame.pts, frame.time_base = (stamps[i] if stamps else 3000 * i), Fraction(1, 90000)
            for packet in stream.encode(frame):
                out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)
    return path
