"""One fit of ``bench_stream``: ``python -m benchmarks.side_stream IMAGES CEILING_MB BACKBONE``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.data import MOBILENET
from benchmarks.measure import clock, peak_mb

SIDE = 64


def main(images: str, ceiling: str, backbone: str) -> None:
    """Fit on a stream of that many images, and say what it took."""
    import torch

    import triscope

    torch.set_num_threads(1)
    settings = {"size": SIDE, "backbone": backbone}
    if backbone != "scattering":
        settings["weights"] = str(MOBILENET)
    with clock() as painting:  # what the generator itself takes is not the fit's
        for _ in parts(int(images)):
            pass
    with clock() as used:
        triscope.fit("patchcore", parts(int(images)), settings, calibrate=0, memory=f"{ceiling}MB")
    found = {"cpu_s": used.cpu_s - painting.cpu_s, "peak_mb": peak_mb()}
    print(json.dumps({**found, "before_mb": painting.peak_mb}))


def parts(count: int) -> Iterator[NDArray[np.uint8]]:
    """Pictures of a brushed surface, none like another, painted as they are asked for."""
    rng = np.random.default_rng(0)
    streaks = rng.normal(size=(512, 1, 1)) * 12 + rng.normal(size=(512, SIDE, 3)) * 4
    base = np.clip(140 + streaks, 0, 255).astype(np.uint8)
    for _ in range(count):
        y, light = int(rng.integers(0, 512 - SIDE)), int(rng.integers(0, 24))
        noise = rng.integers(0, 6, (SIDE, SIDE, 3), dtype=np.uint8)
        yield base[y : y + SIDE] // 2 + 40 + noise + np.uint8(light)


if __name__ == "__main__":
    main(*sys.argv[1:])
