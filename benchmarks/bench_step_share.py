"""How often a fit reads each image, and which share of its time is spent in the step.

``python -m benchmarks.bench_step_share`` fits DDN on NEU-DET for a few updates, with the recipe for
two cores, and writes the section ``step_share`` of docs/benchmarks/known_defects.md.
"""

from __future__ import annotations

import sys
import tomllib
from collections import Counter
from time import perf_counter, process_time
from typing import Any

import torch

import triscope
from benchmarks import page
from benchmarks.data import DATA, MOBILENET
from benchmarks.known_page import write
from triscope.kernel import catalogue, config
from triscope.kernel.train import Plan, train

STEPS = 20
SHARE = 0.9


def main() -> None:
    """Measure and write."""
    torch.set_num_threads(1)
    print(write(section(*measured())))


def measured() -> tuple[dict[str, Counter[str]], dict[str, float], int]:
    """Openings of each image in each phase, seconds, and the number of images."""
    opened = {"labels": Counter[str](), "images": Counter[str](), "updates": Counter[str]()}
    phase = ["labels"]
    folder = str(DATA / "neu_det" / "IMAGES")
    sys.addaudithook(lambda event, args: _count(opened[phase[0]], folder, event, args))
    path = catalogue.recipe("ddn-cpu")
    assert path is not None
    values = tomllib.loads(path.read_text()) | {"weights": str(MOBILENET), "steps": STEPS}
    model = catalogue.load("ddn")(config.build(catalogue.settings_class("ddn"), values))
    data = triscope.data(DATA / "neu_det")
    model.begin(data)
    start, phase[0] = process_time(), "images"
    batches = model.batches(data.split("train"), "train", 0)
    times = {"reading": process_time() - start, "data": 0.0}

    class Timed:
        """The batches of an epoch; what making them takes is added up."""

        def __init__(self, epoch: int) -> None:
            self.items = batches(epoch)

        def __len__(self) -> int:
            return len(self.items)

        def __getitem__(self, index: Any) -> Any:
            if isinstance(index, slice):
                return self.items[index]
            start = process_time()
            try:
                return self.items[index]
            finally:
                times["data"] += process_time() - start

    plan = Plan.of(model.settings, accelerator="cpu", warm_up=0)
    start, wall, phase[0] = process_time(), perf_counter(), "updates"
    train(model, Timed, plan)
    times["training"], times["wall"] = process_time() - start, perf_counter() - wall
    return opened, times, len(batches.samples)


def _count(opened: Counter[str], folder: str, event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and str(args[0]).startswith(folder):
        opened[str(args[0])] += 1


def section(opened: dict[str, Counter[str]], times: dict[str, float], images: int) -> page.Section:
    """Two figures and what they are made of."""
    share = 1 - times["data"] / times["training"]
    most = {name: max(counts.values(), default=0) for name, counts in opened.items()}
    rows = [
        ("images to learn from", images),
        ("openings of one image, at most: reading the labels (its size, copies)", most["labels"]),
        ("the same: reading the images", most["images"]),
        ("the same: in the updates", most["updates"]),
        ("CPU seconds of reading and decoding all, once", f"{times['reading']:.1f}"),
        (f"CPU ms an update, {STEPS} updates", f"{1000 * times['training'] / STEPS:.0f}"),
        ("of them making the batch: cache, augmentation", f"{1000 * times['data'] / STEPS:.1f}"),
        ("share of the CPU time in the step", f"{100 * share:.1f} %"),
    ]
    short = []
    if most["images"] + most["updates"] > 1:
        short.append(
            f"An image is opened {most['images'] + most['updates']} times before the updates: for "
            "its size, when its labels are checked, and to be decoded."
        )
    if share < SHARE:
        short.append(f"{100 * share:.1f} % of the time in the step, {100 * SHARE:.0f} % was asked.")
    return page.Section(
        "step_share",
        "One reading, and the share of the step",
        "`ddn` with the recipe `ddn-cpu` on the training images of `neu_det`, one thread; files "
        "are counted as the interpreter opens them.",
        ("", ""),
        rows,
        "python -m benchmarks.bench_step_share",
        short,
    )


if __name__ == "__main__":
    main()
