"""Two streams against one on gestures: a single frame, motion alone, both fused.

Usage: python benchmarks/bench_motion_two_stream.py [--data DIR]
Three folds, a person held out in each; the same small network for both streams. The linear machine
learns from the streams' answers to the videos that they learned from.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench_motion_accuracy import DATA, GESTURES, wilson
from triscope.kernel.data.video import open_videos, without
from triscope.kernel.verbs import fit
from triscope.motion.fusion import LinearSvm, average, stacked


def answers(check: Any, samples: Sequence[Any]) -> np.ndarray:
    """Probabilities (n, k) of each video."""
    rows = [list(check.inspect(s).details["probabilities"].values()) for s in samples]
    return np.array(rows)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=DATA)
    data = open_videos(parser.parse_args().data / "gestures")
    torch.set_num_threads(1)
    ways = ("single frame", "motion", "average", "linear machine")
    right = dict.fromkeys(ways, 0)
    for person in ("1", "2", "3"):
        kept, held = without(data, person)
        looks = fit("x3d", kept, {**GESTURES, "seen": "rgb", "frames": 1}, calibrate=0)
        moves = fit("x3d", kept, {**GESTURES, "seen": "difference"}, calibrate=0)
        labels = np.array([data.classes.index(str(s.label)) for s in held])
        taught = np.array([data.classes.index(str(s.label)) for s in kept])
        both = [answers(looks, held), answers(moves, held)]
        machine = LinearSvm().fit(
            stacked([answers(looks, kept), answers(moves, kept)]), taught, len(data.classes)
        )
        found = {
            "single frame": both[0],
            "motion": both[1],
            "average": average(both),
            "linear machine": machine.scores(stacked(both)),
        }
        for way in ways:
            right[way] += int((found[way].argmax(1) == labels).sum())
        print(f"person {person} held out:", right, flush=True)
    for way in ways:
        low, high = wilson(right[way], len(data))
        print(f"{way}: {right[way]} of {len(data)}, 95 % interval {low:.3f} to {high:.3f}")


if __name__ == "__main__":
    main()
