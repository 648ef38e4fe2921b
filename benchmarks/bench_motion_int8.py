"""A check of clips in bf16 and int8 beside itself: answers, size, time on one thread.

Usage: python -m benchmarks.bench_motion_int8 [--data DIR] [--model x3d|tsn]
`gestures` with each of three persons held out: learned from the other two, exported four ways, and
asked about the third. int8 takes its ranges from the learned videos. ``x3d`` as in
bench_motion_accuracy; ``tsn`` is MobileNetV2 with published weights and a learned classifier.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["TRISCOPE_THREADS"] = "1"

import numpy as np
import torch

import triscope
from benchmarks.bench_motion_accuracy import DATA, FIGHTS, GESTURES, IMAGENET
from triscope.kernel.data.video import open_videos, without
from triscope.kernel.export.deploy import export
from triscope.kernel.verbs import fit

WAYS: Mapping[str, dict[str, Any]] = {
    "ONNX Runtime f32": {"engine": "onnxruntime"},
    "OpenVINO f32": {"engine": "openvino"},
    "OpenVINO bf16": {"bf16": True},
    "ONNX Runtime int8": {"int8": True, "engine": "onnxruntime"},
}


@dataclass
class Row:
    """One way of export over all folds."""

    right: int = 0
    same: int = 0  # answered as ONNX Runtime does in f32
    change: float = 0.0  # the largest of a probability
    megabytes: float = 0.0
    milliseconds: list[float] = field(default_factory=list)  # of each fold


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


def compare(folder: Path, held: Any, labels: np.ndarray, rows: dict[str, Row]) -> None:
    """Export the check in ``folder`` each way and add what it answers."""
    plain, base = triscope.open(folder), None
    for number, (way, options) in enumerate(WAYS.items()):
        place = folder.parent / f"{folder.name}-{number}"
        check = export(plain, place, weights=False, **options)
        found, row = answers(check, held), rows[way]
        base = found if base is None else base
        row.right += int((found.argmax(1) == labels).sum())
        row.same += int((found.argmax(1) == base.argmax(1)).sum())
        row.change = max(row.change, float(np.abs(found - base).max()))
        row.megabytes = (place / "model.onnx").stat().st_size / 1e6
        row.milliseconds.append(milliseconds(check, held[0]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--model", choices=("x3d", "tsn"), default="x3d")
    given = parser.parse_args()
    torch.set_num_threads(1)
    settings = {
        "x3d": {**GESTURES, "seen": "difference"},
        "tsn": {**FIGHTS, "start": str(given.data / IMAGENET)},
    }[given.model]
    data, rows = open_videos(given.data / "gestures"), {way: Row() for way in WAYS}
    for person in ("1", "2", "3"):
        kept, held = without(data, person)
        labels = np.array([data.classes.index(str(s.label)) for s in held])
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "check"
            fit(given.model, kept, settings, calibrate=0, out=folder)
            compare(folder, held, labels, rows)
        print(f"person {person} held out: done", flush=True)
    print(f"{given.model}: | way | right of {len(data)} | same answer | change | MB | ms |")
    for way, row in rows.items():
        print(
            f"| {way} | {row.right} | {row.same} | {row.change:.4f} | {row.megabytes:.2f} "
            f"| {min(row.milliseconds):.2f} |"
        )


if __name__ == "__main__":
    main()
