"""Classification with and without fused levels on NEU-DET, and regions from labels alone.

``python -m benchmarks.bench_classes`` trains what is not in .bench/classes yet and writes the
sections ``classes`` and ``weak`` of docs/benchmarks/known_defects.md.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch

import triscope
from benchmarks import page
from benchmarks.data import DATA, MOBILENET, ROOT
from benchmarks.known_page import write
from triscope.kernel.data import Dataset, Sample
from triscope.kernel.data.splits import hold_out

HOME = ROOT / ".bench" / "classes"
COMMAND = "python -m benchmarks.bench_classes"
SETTINGS: dict[str, Any] = {
    "weights": str(MOBILENET),
    "size": 160,
    "steps": 500,
    "precision": "bf16-mixed",
}
PUBLISHED = 99.0
FOUND = 0.1  # Dice below which a kind of defect was not found


def main() -> None:
    """Both sections."""
    torch.set_num_threads(1)
    for section in (classes, weak):
        print(write(section()), flush=True)


def classes() -> page.Section:
    """Accuracy on the six classes, and where the evidence lies."""
    data = triscope.data(DATA / "neu_det")
    test, rows, best = data.split("test"), [], 0.0
    for title, fusion in (("MobileNetV2 + MFN", True), ("MobileNetV2", False)):
        check, _ = fitted("fused" if fusion else "plain", data, {**SETTINGS, "fusion": fusion})
        start = process_time()
        seen = [
            (sample, str(reading.details["label"]), _hit(sample, reading))
            for sample, reading in check.readings(test)
        ]
        each = 1000 * (process_time() - start) / len(seen)
        right = [
            [found == _of_name(s) for s, found, _ in seen if _of_name(s) == name]
            for name in data.classes
        ]
        named = 100 * float(np.mean([found == _of_name(s) for s, found, _ in seen]))
        boxed = 100 * float(np.mean([found == s.label for s, found, _ in seen]))
        hits = 100 * float(np.mean([hit for _, _, hit in seen]))
        best = max(best, named)
        cells = [*(100 * float(np.mean(some)) for some in right)]
        rows.append(
            (
                title,
                *(f"{v:.1f}" for v in cells),
                f"{named:.2f}",
                f"{boxed:.2f}",
                f"{hits:.1f}",
                f"{each:.1f}",
            )
        )
    covered = 100 * float(np.mean([_covered(sample) for sample in test]))
    return page.Section(
        "classes",
        "Naming the defect of an image",
        "`classifier` on the six classes of `neu_det`, 160 × 160, 500 updates of 16 images (about "
        "3 CPU minutes); it learns the most frequent class of the boxes. Recall of each class "
        "and accuracy on the 540 test images, in percent, by the class that the images were "
        "published under (as NEU-CLS counts; the file name), then the accuracy by the label of the "
        "boxes, where both kinds differ in images that show two defects. Pointing: how often the "
        "highest place of the class map lies in a box of the class that was named (boxes cover "
        f"{covered:.1f} % of an image, which is what a place at random hits).",
        ("", *data.classes, "accuracy", "by boxes", "pointing", "CPU ms"),
        rows,
        COMMAND,
        [] if best >= PUBLISHED else [f"The best accuracy is {best:.2f} %, below 99 %."],
        ["The paper: 99.67 % with ResNet-50 and MFN."],
    )


def _of_name(sample: Sample) -> str:
    """The class of a file such as ``rolled-in_scale_12.jpg``."""
    return Path(sample.name).stem.rpartition("_")[0]


def weak() -> page.Section:
    """Regions from image labels alone, scored against masks that only calibrate and score."""
    whole = triscope.data(DATA / "magnetic_tile")
    known = [s for s in whole if s.good or s.mask is not None]
    rest, test = hold_out(known, 0.3, 0)
    fit, held = hold_out(rest, 0.2, 0)
    parts: list[tuple[tuple[Sample, ...], Any]] = [
        (fit, "train"),
        (held, "calibrate"),
        (test, "test"),
    ]
    samples = [replace(s, split=name) for some, name in parts for s in some]
    data = replace(whole, samples=tuple(samples))
    check, spent = fitted("tiles", data, {**SETTINGS, "steps": 80, "warm_up": 10})
    found = check.evaluate(data, draws=10).known
    regions = found["regions"]
    rows = [(row["name"], f"{row['iou']:.3f}", f"{row['dice']:.3f}") for row in regions["types"]]
    rows.append(("all", f"{regions['iou']:.3f}", f"{regions['dice']:.3f}"))
    return page.Section(
        "weak",
        "Regions from image labels alone",
        f"`classifier` on `magnetic_tile` (good and three defects): {len(fit)} images teach with "
        f"their labels only, the masks of {len(held)} others choose the threshold of the class "
        f"map, {len(test)} are scored, seed 0; 160 × 160, 80 updates of 16 images. "
        f"Accuracy of the labels {100 * found['accuracy']:.1f} %; {spent / 60:.1f} CPU "
        "minutes of training.",
        ("", "IoU", "Dice"),
        rows,
        COMMAND,
        [
            f"{row['name']}: not found by its label; a cell of the class map is 16 pixels wide."
            for row in regions["types"]
            if row["dice"] < FOUND
        ],
    )


def fitted(name: str, data: Dataset, settings: dict[str, Any]) -> tuple[Any, float]:
    """The check of that name, fitted now or taken from its folder, and the CPU seconds it took."""
    folder = HOME / name
    told = folder.with_suffix(".json")
    if not told.is_file():
        start = process_time()
        held = data.split("calibrate")
        calibrate = held if len(held) else 0
        triscope.fit("classifier", data, settings, out=folder, calibrate=calibrate)
        told.write_text(json.dumps(process_time() - start))
    return triscope.open(folder), float(json.loads(told.read_text()))


def _hit(sample: Sample, reading: Any) -> bool:
    """Whether the class map is highest inside a box of the class that was found."""
    heat = reading.heatmap.at_image_size()
    y, x = np.unravel_index(int(heat.argmax()), heat.shape)
    boxes = [b.box for b in sample.boxes if b.label == reading.details["label"]]
    return any(x0 <= x < x1 and y0 <= y < y1 for x0, y0, x1, y1 in boxes)


def _covered(sample: Sample) -> float:
    seen = np.zeros((200, 200), np.bool_)
    for box in sample.boxes:
        x0, y0, x1, y1 = (round(v) for v in box.box)
        seen[y0:y1, x0:x1] = True
    return float(seen.mean())


if __name__ == "__main__":
    main()
