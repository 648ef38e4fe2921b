"""The trained DDN made smaller: int8, and channels pruned; size, time and precision of each.

``python -m benchmarks.bench_smaller`` takes the best DDN that ``bench_ddn`` has trained and writes
the section ``compression`` of docs/benchmarks/known_defects.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import process_time

import torch

import triscope
from benchmarks import page
from benchmarks.data import DATA
from benchmarks.ddn_runs import EQUAL, RUNS, STEP, TOGETHER, Run, by_list, exported
from benchmarks.known_page import write
from triscope.kernel.data import Dataset
from triscope.kernel.runtime import Check
from triscope.surface.compress.prune import Pruning
from triscope.surface.compress.running import compress

TUNED = 420  # updates after the pruning, at the rate of the fit: a tenth of it hardly heals
TIMED, ROUNDS = 20, 3
KEPT = 0.97  # share of the mAP below which the row falls short


def main() -> None:
    """Make what is not there yet, measure all, write."""
    torch.set_num_threads(1)
    runs = (RUNS["ddn"], EQUAL[0], TOGETHER)
    done = [run for run in runs if (run.folder / "weights.safetensors").exists()]
    if not done:
        raise SystemExit("no DDN is trained: python -m benchmarks.bench_ddn train ddn")
    run, data = done[0], subset()
    rate = float(triscope.open(exported(run)).card.settings["learning_rate"])
    sides = {
        "as trained": triscope.open(exported(run)),
        "int8": _made(run, "int8", lambda check, out: check.export(out, int8=True)),
        f"30 % of the channels pruned, {TUNED} updates": _made(
            run,
            "pruned",
            lambda check, out: compress(
                check, data, out, Pruning(), {"steps": TUNED, "learning_rate": rate}
            ),
        ),
    }
    print(write(section(run, sides, data)))


def subset() -> Dataset:
    """All training images and every third test image."""
    whole = triscope.data(DATA / "neu_det")
    test = by_list(whole.split("test"))[::STEP]
    return replace(whole, samples=(*whole.split("train"), *test))


def _made(run: Run, name: str, make: Callable[[Check, Path], Check]) -> Check:
    """The smaller check beside the trained one; made now, or taken from its folder."""
    folder = run.folder / name
    if not folder.is_dir():
        make(triscope.open(exported(run)), folder)
    return triscope.open(folder)


def section(run: Run, sides: dict[str, Check], data: Dataset) -> page.Section:
    """A row a side, the first one to compare with."""
    test = data.split("test")
    times = _times(sides, [sample.source for sample in test.samples[:TIMED]])
    rows, short, first = [], [], 0.0
    for name, check in sides.items():
        known = check.evaluate(test, draws=10).known
        precise = 100 * float(known["map_50"])
        first = first or precise
        assert check.folder is not None
        size = (check.folder / "model.onnx").stat().st_size / 1e6
        rows.append(
            (name, check.card.engine, f"{size:.1f}", f"{1000 * times[name]:.1f}", f"{precise:.1f}")
        )
        if precise < KEPT * first:
            short.append(f"{name}: {precise - first:+.1f} points of mAP.")
    return page.Section(
        "compression",
        "The trained detector made smaller",
        f"DDN on MobileNetV2 ({run.steps} updates), every third test image of `neu_det` "
        f"({len(test)}). CPU milliseconds of one thread from the file to the boxes, median over "
        f"{TIMED} images, the least of {ROUNDS} rounds in turn.",
        ("", "engine", "MB", "CPU ms", "mAP at 0.5"),
        rows,
        "python -m benchmarks.bench_smaller",
        short,
    )


def _times(sides: dict[str, Check], files: list[object]) -> dict[str, float]:
    """Seconds an image, the sides in turn."""
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name, check in sides.items():
            each = []
            for file in files:
                start = process_time()
                check.inspect(file)
                each.append(process_time() - start)
            best[name] = min(best.get(name, 1e9), median(each))
    return best


if __name__ == "__main__":
    main()
