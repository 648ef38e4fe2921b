"""DDN beside Faster R-CNN and HyperNet on NEU-DET: the tables of its paper, for two CPU cores.

``python -m benchmarks.bench_ddn train ddn`` trains one detector (resumable), ``... report`` writes
docs/benchmarks/known_defects.md from those that are trained.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import triscope
from benchmarks import page
from benchmarks.data import DATA
from benchmarks.ddn_runs import LEVELS, MAIN, PLACEMENTS, RUNS, Run, trained
from triscope.kernel.data import Dataset
from triscope.kernel.geometry.boxes import iou
from triscope.kernel.metrics.detection import Detections
from triscope.surface.labelled import UNCHANGED, Batches, Item

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "known_defects.md"
TITLE = """# Benchmarks: known defects

`neu_det`, 1260 training and 540 test images as split there, seed 0; MobileNetV2 pretrained on
ImageNet (`shared/data/weights`), the recipes `ddn-cpu`, `faster_rcnn-cpu`, `hypernet-cpu`. Nothing
was chosen on the test images: the last weights of a fixed schedule are scored.
"""
COMMAND = "python -m benchmarks.bench_ddn report"
COUNTS = (10, 25, 50, 100, 200, 300)
OVERLAPS = (0.5, 0.6, 0.7, 0.8, 0.9)


def main() -> None:
    """``train NAME...`` or ``report``."""
    torch.set_num_threads(1)
    verb, *names = sys.argv[1:] or ["report"]
    if verb == "train":
        for name in names or RUNS:
            trained(RUNS[name])
        return
    sections = [precision(), few_proposals(), recall(), parts("levels", LEVELS)]
    sections.append(parts("placements", (RUNS["ddn"], *PLACEMENTS)))
    texts = [page.render(section) for section in sections if section.rows]
    PAGE.write_text("\n".join([TITLE, *texts]), encoding="utf-8")
    print("\n".join(texts))


def precision() -> page.Section:
    """mAP at IoU 0.5, per class."""
    rows, scores = [], {}
    for run in _done(MAIN):
        model = trained(run)
        found, milliseconds = scored(model)
        scores[run.name] = found["map_50"]
        each = [f"{100 * row['ap_50']:.1f}" for row in found["classes"]]
        parameters = sum(p.numel() for p in model.net.parameters()) / 1e6
        whole = [f"{100 * found['map_50']:.1f}", f"{100 * found['map_50_95']:.1f}"]
        rows.append((run.model, *each, *whole, f"{parameters:.1f} M", f"{milliseconds:.0f}"))
    classes = triscope.data(DATA / "neu_det").classes
    return page.Section(
        "precision",
        "Average precision at IoU 0.5, in percent",
        "The last columns: mAP at 0.5, at 0.5 to 0.95, parameters, CPU milliseconds of one thread "
        "an image in PyTorch.",
        ("", *classes, "mAP", "mAP 50:95", "parameters", "ms"),
        rows,
        COMMAND,
        _margin(scores),
    )


def _margin(scores: dict[str, float]) -> list[str]:
    short = []
    if {"ddn", "faster_rcnn"} <= set(scores):
        margin = 100 * (scores["ddn"] - scores["faster_rcnn"])
        if margin < 4:
            short.append(f"DDN leads Faster R-CNN by {margin:.1f} points; the paper by 4.4.")
    if scores and max(scores.values()) < 0.7:
        short.append(f"The best mAP is {100 * max(scores.values()):.1f}, below 70.")
    return short


def few_proposals() -> page.Section:
    """What is kept of the mAP with fewer proposals, and how much faster it is."""
    rows: list[tuple[object, ...]] = []
    if _done((RUNS["ddn"],)):
        model = trained(RUNS["ddn"])
        whole = None
        for count in reversed(COUNTS):
            model.detector.proposing = replace(model.detector.proposing, after=count)
            found, milliseconds = scored(model)
            whole = whole or found["map_50"]
            share = 100 * found["map_50"] / whole
            rows.append(
                (count, f"{100 * found['map_50']:.1f}", f"{share:.1f} %", f"{milliseconds:.0f}")
            )
    return page.Section(
        "few_proposals",
        "Fewer proposals",
        "DDN with so many regions an image; the paper keeps 92 % of its mAP with 50.",
        ("proposals", "mAP", "of that with 300", "ms an image"),
        rows,
        COMMAND,
    )


def recall() -> page.Section:
    """Share of the true boxes that some proposal overlaps."""
    ways: dict[str, list[NDArray[np.float64]]] = {}
    data = triscope.data(DATA / "neu_det").split("test")
    truths = [np.array([box.box for box in sample.boxes]) for sample in data]
    for run in _done((RUNS["ddn"], RUNS["faster_rcnn"])):
        title = {"ddn": "RPN with MFN", "faster_rcnn": "RPN without"}[run.name]
        ways[title] = list(proposed(trained(run), data))
    if ways:
        ways["sliding window"] = [_windows((200, 200), max(COUNTS))] * len(data)
    rows = []
    for name, boxes in ways.items():
        by_count = [f"{100 * _recalled(truths, boxes, n, 0.5):.1f}" for n in COUNTS]
        by_overlap = [f"{100 * _recalled(truths, boxes, 100, v):.1f}" for v in OVERLAPS[1:]]
        rows.append((name, *by_count, *by_overlap))
    return page.Section(
        "recall",
        "Recall of proposals, in percent",
        "First by the number of proposals at IoU 0.5, then by IoU with 100 proposals.",
        ("", *(f"{n} boxes" for n in COUNTS), *(f"IoU {v}" for v in OVERLAPS[1:])),
        rows,
        COMMAND,
    )


def parts(name: str, runs: tuple[Run, ...]) -> page.Section:
    """Variants of DDN, after a short schedule."""
    rows = []
    for run in _done(runs):
        model = trained(run)
        found, _ = scored(model)
        neck = sum(p.numel() for p in model.detector.neck.parameters()) / 1e6
        rows.append((run.name, run.steps, f"{100 * found['map_50']:.1f}", f"{neck:.2f} M"))
    return page.Section(
        name,
        {"levels": "Which levels to fuse", "placements": "Where the 1×1 convolution stands"}[name],
        "Each after so many updates.",
        ("", "updates", "mAP", "parameters of the fusion"),
        rows,
        COMMAND,
    )


@torch.inference_mode()
def scored(model: Any) -> tuple[dict[str, Any], float]:
    """Average precision on the test images, and CPU milliseconds an image."""
    data = triscope.data(DATA / "neu_det").split("test")
    seen = Detections(model.classes)
    net, spent = model.graph(), 0.0
    for item in _inputs(model, data):
        image = torch.from_numpy(item.image)[None]
        start = process_time()
        boxes, labels, scores, _ = net(image)
        spent += process_time() - start
        truths = [(box.label, box.box) for box in item.sample.boxes]
        placed = boxes.numpy() * ([item.place.scale_x, item.place.scale_y] * 2)
        rows = zip(labels.tolist(), placed.tolist(), scores.tolist(), strict=True)
        seen.add(truths, [(model.classes[i], tuple(box), score) for i, box, score in rows])
    return seen.result(), 1000 * spent / len(data)


@torch.inference_mode()
def proposed(model: Any, data: Dataset) -> Iterator[NDArray[np.float64]]:
    """Proposals (n, 4) of each image in its pixels, the best first."""
    net = model.detector.eval()
    net.proposing = replace(net.proposing, after=max(COUNTS))
    for item in _inputs(model, data):
        boxes, scores = net.proposals(torch.from_numpy(item.image)[None])
        kept = boxes[0][scores[0] >= 0].double().numpy()
        yield kept * ([item.place.scale_x, item.place.scale_y] * 2)


def _inputs(model: Any, data: Dataset) -> Iterator[Item]:
    size = (model.settings.size, model.settings.size)
    batches = Batches(data.samples, list, size, 1, 0, UNCHANGED)
    return (batches.item(i, 0) for i in range(len(data)))


def _recalled(
    truths: list[NDArray[Any]], boxes: list[NDArray[np.float64]], count: int, overlap: float
) -> float:
    met = total = 0
    for truth, found in zip(truths, boxes, strict=True):
        total += len(truth)
        if len(truth) and len(found):
            met += int((iou(truth, found[:count]).max(1) >= overlap).sum())
    return met / total


def _windows(hw: tuple[int, int], count: int) -> NDArray[np.float64]:
    """Boxes of several sizes and shapes on a grid, spread evenly."""
    boxes = []
    for side in (0.3, 0.5, 0.8):
        for w, h in ((1, 1), (0.5, 2), (2, 0.5)):
            box = np.minimum([side * w * hw[1], side * h * hw[0]], hw[::-1])
            for y in np.linspace(0, hw[0] - box[1], 6):
                for x in np.linspace(0, hw[1] - box[0], 6):
                    boxes.append([x, y, x + box[0], y + box[1]])
    order = np.random.default_rng(0).permutation(len(boxes))
    return np.array(boxes)[order][:count]


def _done(runs: tuple[Run, ...]) -> list[Run]:
    return [run for run in runs if (run.folder / "weights.safetensors").is_file()]


if __name__ == "__main__":
    main()
