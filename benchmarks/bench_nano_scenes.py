"""`sam_nano` on forty generated scenes kept apart, at 512 px: what its weights are chosen by.

``python -m benchmarks.bench_nano_scenes WEIGHTS... [--centred SHARE]``: mean overlap from a box,
from a click, of the best of the click's three masks, and after one correcting click; ``--centred``
is the share of clicks in the middle of things. No real photo is read.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from triscope.segment.networks import nano_of_size
from triscope.segment.training.nano import VALIDATION_SEED
from triscope.segment.training.scenes import Scenes
from triscope.segment.training.task import PromptableTask, Recipe

SIDE, BATCH, MASKS, BATCHES = 512, 4, 8, 10


class Judged(PromptableTask):
    """The task, keeping the best overlap of each round: box, correction, click, correction."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.best: list[float] = []

    def _judge(self, *given: Any) -> Any:
        parts, iou = super()._judge(*given)
        self.best.append(float(iou.max(dim=1).values.mean()))
        return parts, iou


@torch.no_grad()
def row(weights: str, centred: float) -> str:
    """One line of the table."""
    recipe = Recipe(clicks=1, rounds_without=0, centred=centred)
    task = Judged(nano_of_size(SIDE, weights), recipe)
    torch.manual_seed(0)
    scenes = Scenes(SIDE, BATCH, MASKS, BATCHES, VALIDATION_SEED)(0)
    rounds = [task.losses(batch) for batch in scenes]
    box, click, last = (
        float(torch.stack([one[name] for one in rounds]).mean())
        for name in ("box_iou", "point_iou", "last_iou")
    )
    best = sum(task.best[2::4]) / BATCHES
    cells = " | ".join(f"{value:.3f}" for value in (box, click, best, last))
    return f"| {Path(weights).name} | {cells} |"


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", nargs="+")
    parser.add_argument("--centred", type=float, default=0.0)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print("| weights | box | click | best of the click's three | a correcting click |")
    print("|---|---|---|---|---|")
    for path in chosen.weights:
        print(row(path, chosen.centred), flush=True)


if __name__ == "__main__":
    main()
