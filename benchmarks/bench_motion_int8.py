"""A check of clips in int8 beside itself: answers, size, time on one thread.

Usage: python benchmarks/bench_motion_int8.py [--data DIR]
Learned from two of three persons of `gestures` with the settings of bench_motion_accuracy, then
quantised with the ranges of the learned videos, and asked about the third person.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["TRISCOPE_THREADS"] = "1"

import numpy as np
import torch

import triscope
from bench_motion_accuracy import DATA, GESTURES
from triscope.kernel.data.video import open_videos, without
from triscope.kernel.export.deploy import export
from triscope.kernel.verbs import fit


def answers(check: Any, samples: Any) -> np.ndarray:
    """Probabilities (n, k)."""
    rows = [check.inspect(sample).details["probabilities"].values() for sample in samples]
    return np.array([list(row) for row in rows])


def milliseconds(check: Any, sample: Any, seconds: float = 3.0) -> float:
    """CPU time of one answer of the graph, the least of some rounds."""
    prepared, best = check.prepare(sample), float("inf")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.process_time()
        check.compute([prepared])
        best = min(best, time.process_time() - start)
    return 1000 * best


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=DATA)
    torch.set_num_threads(1)
    data = open_videos(parser.parse_args().data / "gestures")
    kept, held = without(data, "1")
    labels = np.array([data.classes.index(str(s.label)) for s in held])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        fit("x3d", kept, {**GESTURES, "seen": "difference"}, calibrate=0, out=folder / "fp32")
        plain = triscope.open(folder / "fp32")
        export(plain, folder / "int8", int8=True, engine="onnxruntime")
        export(plain, folder / "ort", engine="onnxruntime")
        base = answers(plain, held)
        for name in ("fp32", "ort", "int8"):
            check = triscope.open(folder / name)
            found = answers(check, held)
            size = (folder / name / "model.onnx").stat().st_size
            print(
                f"{name} ({check.card.engine}): {(found.argmax(1) == labels).sum()} of {len(held)} "
                f"right, {(found.argmax(1) == base.argmax(1)).sum()} answered as before, largest "
                f"change of a probability {np.abs(found - base).max():.4f}, "
                f"{size / 1e6:.2f} MB, {milliseconds(check, held[0]):.2f} ms",
                flush=True,
            )


if __name__ == "__main__":
    main()
