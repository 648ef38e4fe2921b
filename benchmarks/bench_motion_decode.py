"""Decoding: 8 frames spread over a 30 s video, ours against OpenCV, one thread, CPU seconds.

Usage: python -m benchmarks.bench_motion_decode [--rounds 7]
The video is painted here (H.264, 320x240, 30 frames a second); both sides alternate in one process
and must give the same frames.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from fractions import Fraction
from pathlib import Path

os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "threads;1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import av
import cv2
import numpy as np

from triscope.kernel.data.video import Video


def paint(path: Path, frames: int = 900, gop: int = 30, size: tuple[int, int] = (240, 320)) -> None:
    """A video of moving blobs on texture, with the frame number coded in its top rows."""
    rng = np.random.default_rng(0)
    h, w = size
    texture = cv2.resize(rng.integers(0, 255, (h // 8, w // 8, 3), dtype=np.uint8), (w, h))
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=30, options={"crf": "23", "g": str(gop)})
        stream.width, stream.height, stream.pix_fmt = w, h, "yuv420p"
        stream.time_base = Fraction(1, 30)
        for i in range(frames):
            picture = texture.copy()
            cv2.circle(
                picture, ((i * 3) % w, h // 2 + int(40 * np.sin(i / 9))), 25, (30, 200, 90), -1
            )
            for bit in range(10):
                value = 255 if i >> bit & 1 else 0
                picture[:16, bit * 16 : bit * 16 + 16] = value
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)


def number_of(frame: np.ndarray) -> int:
    """The number coded in a frame."""
    return sum(
        1 << bit for bit in range(10) if frame[4:12, bit * 16 + 4 : bit * 16 + 12].mean() > 127
    )


def ours(path: Path, wanted: list[int]) -> list[np.ndarray]:
    with Video(path) as video:
        return list(video.read(wanted))


def by_opencv_seeking(path: Path, wanted: list[int]) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    found = []
    for number in wanted:
        capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        found.append(cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB))
    capture.release()
    return found


def by_opencv_grabbing(path: Path, wanted: list[int]) -> list[np.ndarray]:
    capture, found = cv2.VideoCapture(str(path)), []
    for number in range(max(wanted) + 1):
        capture.grab()
        if number in wanted:
            found.append(cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB))
    capture.release()
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    cv2.setNumThreads(1)
    ways = {"triscope": ours, "OpenCV set": by_opencv_seeking, "OpenCV grab": by_opencv_grabbing}
    with tempfile.TemporaryDirectory() as folder:
        for gop in (30, 250):
            path = Path(folder) / f"gop{gop}.mp4"
            paint(path, gop=gop)
            wanted = [int(i) for i in np.linspace(20, 880, 8)]
            best = dict.fromkeys(ways, float("inf"))
            for _ in range(rounds):
                for name, way in ways.items():
                    start = time.process_time()
                    frames = way(path, wanted)
                    best[name] = min(best[name], time.process_time() - start)
                    assert [number_of(f) for f in frames] == wanted, name
            fastest = min(best["OpenCV set"], best["OpenCV grab"])
            print(
                f"key frame every {gop}: "
                + ", ".join(f"{name} {1000 * value:.1f} ms" for name, value in best.items())
                + f"; {fastest / best['triscope']:.2f} times the faster OpenCV way"
            )


if __name__ == "__main__":
    main()
