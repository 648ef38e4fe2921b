"""Two streams against one on gestures: looks alone, motion alone, both fused.

Usage: python -m benchmarks.bench_motion_two_stream [--model two_stream|x3d] [--data DIR]
Three folds, a person held out in each. ``two_stream`` is the model itself, with optical flow;
``x3d`` has the same small network twice, on one frame and on frame differences. The linear machine
learns from the streams' answers to the videos that they learned from.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["TRISCOPE_THREADS"] = "1"

import numpy as np
import torch

from benchmarks.bench_motion_accuracy import DATA, GESTURES, wilson
from triscope.kernel.data.video import open_video, open_videos, read_clip, without
from triscope.kernel.export.fitted import restored
from triscope.kernel.verbs import fit
from triscope.motion.fusion import LinearSvm, average, stacked

Streams = list[np.ndarray]  # of looks and of motion: probabilities (n, k)
# Chosen by two folds inside the training part of the first fold (motion 14 of 18; with ImageNet
# weights in both streams 6), then left alone.
TWO_STREAM = {"backbone": "mobilenetv2", "norm": "learn", "frames": 10, "size": 64, "square": True,
              "sampling": "segments", "step": 3, "steps": 120, "batch": 9, "learning_rate": 4e-3,
              "jitter": 0.2}  # fmt: skip


class Model:
    """The streams of one `two_stream`."""

    def __init__(self, kept: Any) -> None:
        self.model = restored(fit("two_stream", kept, TWO_STREAM, calibrate=0))

    @torch.no_grad()
    def answers(self, samples: Sequence[Any]) -> Streams:
        net, found = self.model.network().eval(), []
        for sample in samples:
            rows = read_clip(open_video(sample.source), self.model.settings.cut)
            clip = self.model.normalised(torch.from_numpy(rows).float() / 255)
            found.append([x.softmax(1).mean(0).double().numpy() for x in net.streams(clip)])
        return [np.array(rows) for rows in zip(*found, strict=True)]


class Pair:
    """Two small `x3d`: one frame, and frame differences."""

    def __init__(self, kept: Any) -> None:
        looks = fit("x3d", kept, {**GESTURES, "seen": "rgb", "frames": 1}, calibrate=0)
        moves = fit("x3d", kept, {**GESTURES, "seen": "difference"}, calibrate=0)
        self.checks = (looks, moves)

    def answers(self, samples: Sequence[Any]) -> Streams:
        return [
            np.array([list(check.inspect(s).details["probabilities"].values()) for s in samples])
            for check in self.checks
        ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--model", choices=("two_stream", "x3d"), default="two_stream")
    given = parser.parse_args()
    data = open_videos(given.data / "gestures")
    torch.set_num_threads(1)
    ways = ("looks", "motion", "average", "linear machine")
    right = dict.fromkeys(ways, 0)
    for person in ("1", "2", "3"):
        kept, held = without(data, person)
        taught = np.array([data.classes.index(str(s.label)) for s in kept])
        labels = np.array([data.classes.index(str(s.label)) for s in held])
        streams = Model(kept) if given.model == "two_stream" else Pair(kept)
        both = streams.answers(held)
        machine = LinearSvm().fit(stacked(streams.answers(kept)), taught, len(data.classes))
        found = (*both, average(both), machine.scores(stacked(both)))
        for way, scores in zip(ways, found, strict=True):
            right[way] += int((scores.argmax(1) == labels).sum())
        print(f"person {person} held out:", right, flush=True)
    for way in ways:
        low, high = wilson(right[way], len(data))
        print(f"{way}: {right[way]} of {len(data)}, 95 % interval {low:.3f} to {high:.3f}")


if __name__ == "__main__":
    main()
