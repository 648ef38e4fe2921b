"""U-Net on cracks and on magnetic tiles, five folds each.

``python -m benchmarks.bench_masks`` trains the folds that are not in .bench/masks yet and writes
the section ``masks`` of docs/benchmarks/known_defects.md; ``report`` writes it from those that are
there. ``windows`` compares whole images with windows of them on held-out training images of the
first fold, which chooses nothing for the folds.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch

import triscope
from benchmarks import page
from benchmarks.data import DATA, MOBILENET, ROOT
from benchmarks.known_page import write
from triscope.kernel.data import Dataset
from triscope.kernel.data.splits import units

HOME = ROOT / ".bench" / "masks"
COMMAND = "python -m benchmarks.bench_masks"
FOLDS = 5
TILE, OVERLAP = 128, 16  # pixels of the windows
LOW = 0.3  # IoU below which a network has not learned enough
NAMES = ("crackforest", "magnetic_tile")
KINDS = ("iou", "dice", "boundary_f")
SETTINGS: dict[str, Any] = {
    "weights": str(MOBILENET),
    "batch": 4,
    "warm_up": 10,
    "precision": "bf16-mixed",
}
# Those of magnetic_tile were chosen on the training part of the first fold.
OWN: dict[str, dict[str, Any]] = {
    "crackforest": {"size": 256, "steps": 150},
    "magnetic_tile": {
        "size": 128,
        "steps": 350,
        "learning_rate": 5e-4,
        "norm": "frozen",
        "focal": 0.1,
    },
}


def main() -> None:
    """One table."""
    torch.set_num_threads(1)
    print(write(windows() if "windows" in sys.argv else masks("report" in sys.argv)))


def masks(only_done: bool = False) -> page.Section:
    """IoU and Dice over all pixels of the test images, mean and spread of the folds."""
    rows: list[tuple[object, ...]] = []
    short = []
    for name in NAMES:
        numbers = [i for i in range(FOLDS) if not only_done or _told(name, i).is_file()]
        folds = [fold(name, number) for number in numbers]
        if not folds:
            continue
        if len(folds) < FOLDS:
            short.append(f"{name}: {len(folds)} of {FOLDS} folds were run.")
        minutes = f"{sum(one['cpu_s'] for one in folds) / 60:.1f}"
        images = sum(one["images"] for one in folds)
        whole = [one["types"].get("all", one["types"].get("defect"))[0] for one in folds]
        if np.mean(whole) < LOW:
            short.append(f"{name}: {OWN[name]['steps']} updates are too few.")
        for kind in folds[0]["types"]:
            each = [one["types"][kind] for one in folds]
            rows.append((f"{name}: {kind}", images, *_spread(each), minutes))
    return page.Section(
        "masks",
        "U-Net, five folds",
        "`unet`, updates of 4 images, the last weights; folds drawn by seed 0 over images (copies "
        "stay together), every image is tested once. IoU and Dice in percent over all pixels of "
        "the test fold at a chance of 0.5, the boundary F within 0.75 % of the diagonal: mean ± "
        "standard deviation of the folds. CPU minutes of one thread: the trainings of that data "
        "set together.",
        ("", "images", "IoU", "Dice", "boundary F", "CPU min"),
        rows,
        COMMAND,
        [*short, *(f"{name} is not measured yet." for name in NAMES if name not in str(rows))],
        [f"{name}: {_told_of(OWN[name])}." for name in NAMES],
    )


def windows() -> page.Section:
    """IoU on a quarter of the training images of the first fold; the other three parts teach."""
    ways = {"whole images": 0, f"windows of {TILE} pixels": TILE}
    rows, images = [], 0
    for name, tile in ways.items():
        one = _once(HOME / f"windows.{tile}.json", partial(_held_out, tile))
        ious = [f"{100 * value[0]:.1f}" for value in one["types"].values()]
        rows.append((name, *ious, f"{one['cpu_s'] / 60:.1f}"))
        kinds, images = list(one["types"]), one["images"]
    return page.Section(
        "windows",
        "U-Net: whole images or windows of them",
        f"`unet` on `magnetic_tile` with the settings of the folds above; {images} held-out "
        "training images of the first fold, seed 100, no test image: IoU in percent over all "
        f"pixels. Windows: `--tile {TILE} --overlap {OVERLAP}`, learned from and looked at without "
        "shrinking; at 128 × 128 a blowhole is about 5 pixels wide.",
        ("", *kinds, "CPU min"),
        rows,
        f"{COMMAND} windows",
        ["One split, one seed: no spread."],
        ["Small defects want windows, large ones the whole image, which no window shows."],
    )


def _held_out(tile: int) -> dict[str, Any]:
    data = _folds("magnetic_tile", 0).split("train")
    samples = tuple(replace(sample, split="train") for sample in data)
    groups = units(samples)
    order = np.random.default_rng(100).permutation(len(groups))
    test = {i for place in order[::4] for i in groups[place]}
    split = [replace(s, split="test" if i in test else "train") for i, s in enumerate(samples)]
    return _measured(
        "magnetic_tile",
        replace(data, samples=tuple(split)),
        tile=tile,
        overlap=OVERLAP if tile else 0,
    )


def _told_of(own: dict[str, Any]) -> str:
    more = [f"`{key}` {own[key]}" for key in own if key not in ("size", "steps")]
    text = f"{own['size']} × {own['size']}, {own['steps']} updates"
    return ", ".join([text, *more])


def fold(name: str, number: int) -> dict[str, Any]:
    """What one fold scores, trained now or taken from its file."""
    return _once(_told(name, number), lambda: _measured(name, _folds(name, number)))


def _once(told: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    if not told.is_file():
        told.parent.mkdir(parents=True, exist_ok=True)
        told.write_text(json.dumps(make()))
    return dict(json.loads(told.read_text()))


def _told(name: str, number: int) -> Path:
    return HOME / f"{name}.{number}.json"


def _measured(name: str, data: Dataset, **cut: int) -> dict[str, Any]:
    start = process_time()
    check = triscope.fit("unet", data, {**SETTINGS, **OWN[name]}, calibrate=0, **cut)
    spent = process_time() - start
    known = check.evaluate(data, draws=10).known
    types = {row["name"]: [row[key] for key in KINDS] for row in known["types"]}
    if len(types) > 1:
        types["all"] = [known[key] for key in KINDS]
    return {"types": types, "images": len(data.split("test")), "cpu_s": spent}


def _folds(name: str, number: int) -> Dataset:
    """The data with one fifth of it, drawn with seed 0, as the test."""
    whole = triscope.data(DATA / name)
    samples = [s for s in whole if s.good or s.mask is not None]
    groups = units(samples)
    order = np.random.default_rng(0).permutation(len(groups))
    test = {i for place in order[number::FOLDS] for i in groups[place]}
    split = [replace(s, split="test" if i in test else "train") for i, s in enumerate(samples)]
    return replace(whole, samples=tuple(split))


def _spread(pairs: list[list[float]]) -> list[str]:
    values = 100 * np.array(pairs)
    return [f"{m:.1f} ± {s:.1f}" for m, s in zip(values.mean(0), values.std(0), strict=True)]


if __name__ == "__main__":
    main()
