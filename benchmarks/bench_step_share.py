"""How often a fit reads each image, and which share of its time is spent in the step.

``python -m benchmarks.bench_step_share`` fits DDN on NEU-DET for a few updates, with the recipe for
two cores, and writes the section ``step_share`` of docs/benchmarks/known_defects.md.
"""

from __future__ import annotations

import sys
from collections import Counter
from time import process_time
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
    print(write(section(openings(), *times())))


def settings() -> dict[str, Any]:
    """The recipe for two cores, for a few updates."""
    changes = {"weights": str(MOBILENET), "steps": STEPS, "warm_up": 0}
    return catalogue.recipe_settings("ddn-cpu") | changes


def openings() -> Counter[str]:
    """How often a whole fit opens each image of the data, from its layout to its thresholds."""
    opened = Counter[str]()
    folder = str(DATA / "neu_det" / "IMAGES")

    def count(event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and str(args[0]).startswith(folder):
            opened[str(args[0])] += 1

    sys.addaudithook(count)
    triscope.fit("ddn", DATA / "neu_det", settings(), accelerator="cpu")
    return Counter(opened)


def times() -> tuple[dict[str, float], int]:
    """CPU seconds of reading, of the updates and of making their batches; number of images."""
    model = catalogue.load("ddn")(config.build(catalogue.settings_class("ddn"), settings()))
    data = triscope.data(DATA / "neu_det")
    model.begin(data)
    start = process_time()
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

    start = process_time()
    train(model, Timed, Plan.of(model.settings, accelerator="cpu"))
    times["training"] = process_time() - start
    return times, len(batches.samples)


def section(opened: Counter[str], times: dict[str, float], images: int) -> page.Section:
    """Two figures and what they are made of."""
    share = 1 - times["data"] / times["training"]
    most = max(opened.values())
    rows = [
        ("training images", images),
        ("images that a fit opens, those that choose its thresholds too", len(opened)),
        ("openings of one image in the whole fit, at most", most),
        ("CPU seconds of reading and decoding all, once", f"{times['reading']:.1f}"),
        (f"CPU ms an update, {STEPS} updates", f"{1000 * times['training'] / STEPS:.0f}"),
        ("of them making the batch: cache, augmentation", f"{1000 * times['data'] / STEPS:.1f}"),
        ("share of the CPU time in the step", f"{100 * share:.1f} %"),
    ]
    short = []
    if most > 1:
        short.append(f"An image is opened {most} times.")
    if share < SHARE:
        short.append(f"{100 * share:.1f} % of the time in the step, {100 * SHARE:.0f} % was asked.")
    return page.Section(
        "step_share",
        "One reading, and the share of the step",
        "`ddn` with the recipe `ddn-cpu` on `neu_det`, one thread; files are counted as the "
        "interpreter opens them, through `triscope.fit` from the layout to the thresholds.",
        ("", ""),
        rows,
        "python -m benchmarks.bench_step_share",
        short,
    )


if __name__ == "__main__":
    main()
