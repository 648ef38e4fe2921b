"""What the cache of optical flow saves and loses: bytes and error beside the fields themselves.

Usage: python -m benchmarks.bench_motion_flow_cache [--data DIR] [--short 240] [--frames 12]
Frames from the middle of one video of each gesture, DIS; sizes against float32 fields, errors in
pixels.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.bench_motion_accuracy import DATA
from triscope.kernel.data.video import open_video
from triscope.motion.flow import BOUND, flow, read_flow, write_flow


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--short", type=int, default=240)
    parser.add_argument("--frames", type=int, default=12)
    given = parser.parse_args()
    raw, kept, errors = 0, 0, []
    for action in "123":
        (source,) = (given.data / "gestures").rglob(f"PS7A{action}P1T1.avi")
        video = open_video(source)
        middle = len(video) // 2
        pictures = video.read(range(middle, middle + given.frames), given.short)
        with tempfile.TemporaryDirectory() as place:
            for i in range(given.frames - 1):
                field, path = flow(pictures[i], pictures[i + 1]), Path(place) / f"{i}.jpg"
                write_flow(path, field)
                raw, kept = raw + field.nbytes, kept + path.stat().st_size
                errors.append(np.abs(read_flow(path) - np.clip(field, -BOUND, BOUND)).ravel())
    every = np.concatenate(errors)
    print(
        f"{3 * (given.frames - 1)} fields: {raw / 1e6:.1f} MB as float32, {kept / 1e6:.2f} MB "
        f"kept, {raw / kept:.0f} times less; error {every.mean():.3f} px on average, "
        f"{np.quantile(every, 0.99):.3f} at 99 %, {every.max():.2f} at most"
    )


if __name__ == "__main__":
    main()
