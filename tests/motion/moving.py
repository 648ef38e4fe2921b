"""Painted clips for tests: a bright square that moves left, right, up, or stands still."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np

WAYS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}


def frames_of(way: str, count: int = 12, side: int = 48, seed: int = 0) -> np.ndarray:
    """Frames (count, side, side, 3) of one square moving that way over noise."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(60, 110, (side, side, 3), dtype=np.uint8)
    dx, dy = WAYS.get(way, (0, 0))
    middle, reach = side / 2 - 6, side / 4
    start = rng.uniform(-3, 3, 2)
    frames = []
    for i in range(count):
        share = 2 * i / max(1, count - 1) - 1
        x, y = (
            int(middle + start[0] + dx * share * reach),
            int(middle + start[1] + dy * share * reach),
        )
        frame = ground.copy()
        frame[max(0, y) : y + 12, max(0, x) : x + 12] = (230, 220, 90)
        frames.append(frame)
    return np.stack(frames)


def write(path: Path, frames: np.ndarray, rate: int = 12) -> Path:
    """The frames as an MPEG-4 file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=rate, options={"qscale": "2", "g": "6"})
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        stream.codec_context.time_base = Fraction(1, rate)
        stream.bit_rate = 4_000_000
        for frame in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)
    return path


def folder(root: Path, ways: tuple[str, ...], each: int) -> Path:
    """Class folders of painted clips, ``each`` of a way."""
    for way in ways:
        for i in range(each):
            write(root / way / f"clip{i}.mp4", frames_of(way, seed=hash_of(way, i)))
    return root


def hash_of(way: str, i: int) -> int:
    return 100 * sorted(WAYS).index(way) + i if way in WAYS else 1000 + i


TINY: dict[str, Any] = {
    "frames": 4,
    "size": 32,
    "square": True,
    "steps": 1,
    "batch": 2,
    "flip": False,
    "warm_up": 0,
}


@cache
def place() -> Path:
    """A folder for what several test files use; gone at the end."""
    root = Path(tempfile.mkdtemp(prefix="triscope-motion-"))
    atexit.register(shutil.rmtree, root, True)
    folder(root / "clips", ("left", "right"), 3)
    return root


@cache
def fitted(name: str) -> Any:
    """A check of that model in memory, hardly trained: what it answers does not matter."""
    from triscope.kernel.verbs import fit

    more: dict[str, Any] = {"width": 1.0, "depth": 1.0, "seen": "difference", "step": 2}
    if name == "tsm":
        more = {
            "backbone": "mobilenetv2",
            "both": False,
            "sampling": "dense",
            "step": 1,
            "views": 2,
        }
    return fit(name, place() / "clips", {**TINY, **more}, calibrate=0.34)


@cache
def saved(name: str) -> Path:
    """The same check in a folder."""
    check = fitted(name)
    check.origin.engine = "onnxruntime"  # no race of engines in a test
    folder_of_check = place() / f"check_{name}"
    check.save(folder_of_check)
    return folder_of_check
