"""Train the stereo weights that travel in the package: generated scenes, one thread, no GPU.

    python -m benchmarks.train_stereo FOLDER [--network rmvsnet] [--seed 0]

Scenes, checkpoints and the weights stay in FOLDER; a run that was stopped goes on. Prints means of
the loss over 50 steps and CPU seconds so far: ``docs/benchmarks/rmvsnet_own_training.txt`` and
``mvsnet_own_training.txt`` beside it. ``mvsnet`` begins with the features of ``rmvsnet``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path

import cv2
import torch

from triscope.shape.own_weights import STAGES, save, train_own

EVERY = 50


class Log:
    """Means of what is told, printed now and then."""

    def __init__(self) -> None:
        self.rows: list[Mapping[str, float]] = []

    def __call__(self, stage: str, step: int, steps: int, losses: Mapping[str, float]) -> None:
        """Take one step."""
        self.rows.append(dict(losses))
        if step % EVERY and step != steps:
            return
        means = {name: sum(row[name] for row in self.rows) / len(self.rows) for name in losses}
        shown = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
        print(f"{stage} {step}/{steps}: {shown} ({time.process_time():.0f} CPU s)", flush=True)
        self.rows = []


def main() -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--network", choices=list(STAGES), default="rmvsnet")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    for stage in STAGES[chosen.network]:
        print(f"## {stage}", flush=True)
    network = train_own(chosen.network, chosen.folder, Log(), chosen.seed)
    save(network, chosen.folder / f"{chosen.network}_own.safetensors")


if __name__ == "__main__":
    main()
