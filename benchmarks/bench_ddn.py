"""DDN beside Faster R-CNN and HyperNet on NEU-DET: the tables of its paper, for two CPU cores.

``python -m benchmarks.bench_ddn train ddn`` trains one detector (resumable), ``... report`` writes
its sections of docs/benchmarks/known_defects.md from those that are trained.
"""

from __future__ import annotations

import json
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
from benchmarks.data import DATA, ROOT
from benchmarks.ddn_gallery import failures
from benchmarks.ddn_runs import (
    EQUAL,
    HEADS,
    LEVELS,
    MAIN,
    PLACEMENTS,
    RUNS,
    SHORT,
    STEP,
    Run,
    by_list,
    inputs,
    trained,
)
from benchmarks.known_page import write
from triscope.kernel.data import Dataset
from triscope.kernel.geometry.boxes import iou
from triscope.kernel.metrics.detection import Detections

COMMAND = "python -m benchmarks.bench_ddn report"
COUNTS = (50, 100, 300)
TITLES = {
    "heads": "Heads: averaged bins, as published, or hidden layers on all of them",
    "levels": "Which levels to fuse",
    "placements": "Where the 1×1 convolution stands",
}
PROPOSED = (50, 100, 300, 500)
OVERLAPS = (0.5, 0.6, 0.7, 0.8)
UNLEARNED = {"search": "Selective Search, fast", "edges": "Edge Boxes"}
MARGIN = 4  # points of mAP


def main() -> None:
    """``train NAME...``, ``report`` or ``failures NAME``."""
    torch.set_num_threads(1)
    verb, *names = sys.argv[1:] or ["report"]
    if verb == "train":
        for name in names or RUNS:
            trained(RUNS[name])
        return
    if verb == "failures":
        failures(RUNS[names[0] if names else "ddn"])
        return
    sections = [precision(), few_proposals(), recall(), parts("heads", HEADS)]
    sections += [parts("levels", LEVELS), parts("placements", (LEVELS[-1], *PLACEMENTS))]
    for section in sections:
        if len(section.rows) > 1:
            print(write(section))


def precision() -> page.Section:
    """mAP at IoU 0.5, per class."""
    rows, scores = [], {}
    every = (*MAIN, *EQUAL)
    for run in _done(every):
        model = trained(run)
        found, milliseconds = score_of(run, model)
        scores[run.name] = 100 * found["map_50"]
        each = [f"{100 * row['ap_50']:.1f}" for row in found["classes"]]
        parameters = sum(p.numel() for p in model.net.parameters()) / 1e6
        whole = [f"{scores[run.name]:.1f}", f"{100 * found['map_50_95']:.1f}"]
        rows.append(
            (run.title, run.steps, *each, *whole, f"{parameters:.1f} M", f"{milliseconds:.0f}")
        )
    classes = triscope.data(DATA / "neu_det").classes
    return page.Section(
        "precision",
        "Average precision at IoU 0.5, in percent",
        "The recipes `ddn-cpu`, `faster_rcnn-cpu`, `hypernet-cpu` (320 × 320, updates of 4 images "
        "with AdamW, 100 proposals) on the 540 test images; the same updates are the same "
        "schedule. The last columns: mAP at 0.5, at 0.5 to 0.95, parameters, CPU milliseconds of "
        "one thread an image in PyTorch.",
        ("", "updates", *classes, "mAP", "mAP 50:95", "parameters", "ms"),
        rows,
        COMMAND,
        _margin(scores),
        [
            *_margins(scores),
            *(f"{run.title}, {run.steps} updates: {spent(run)}." for run in _done(every)),
        ],
    )


def _margin(scores: dict[str, float]) -> list[str]:
    short = []
    if EQUAL[0].name in scores:
        ours = scores[EQUAL[0].name]
        for run in EQUAL[1:]:
            if run.name in scores and ours - scores[run.name] < MARGIN:
                short.append(
                    f"After the same {SHORT} updates DDN is {ours - scores[run.name]:+.1f} points "
                    f"from {run.title}, the paper +4.4 from a network on its last map."
                )
    if scores and max(scores.values()) < 70:
        short.append(f"The best mAP is {max(scores.values()):.1f}, below 70.")
    return short


def _margins(scores: dict[str, float]) -> list[str]:
    """What DDN gains over the last map, which the paper compares with, and over R4."""
    if EQUAL[0].name not in scores:
        return []
    gains = [
        f"{scores[EQUAL[0].name] - scores[run.name]:+.1f} points to {run.title}"
        for run in EQUAL[1:]
        if run.name in scores
    ]
    return [f"DDN after the same {SHORT} updates: {', '.join(gains)}."] if gains else []


def spent(run: Run) -> str:
    """The CPU time of a training."""
    told = json.loads((run.folder / "spent.json").read_text())
    seconds = told["cpu_s"] * run.steps / told["steps"]  # an interrupted run tells of its rest
    return f"{seconds / 60:.1f} CPU minutes of one thread"


def few_proposals() -> page.Section:
    """What is kept of the mAP with fewer proposals, and how much faster it is."""
    rows: list[tuple[object, ...]] = []
    done = _done((RUNS["ddn"], EQUAL[0]))
    if done:
        model = trained(done[0])
        whole = None
        for count in reversed(COUNTS):
            model.detector.proposing = replace(model.detector.proposing, after=count)
            found, milliseconds = score_of(done[0], model)
            whole = whole or found["map_50"]
            share = 100 * found["map_50"] / whole
            rows.append(
                (count, f"{100 * found['map_50']:.1f}", f"{share:.1f} %", f"{milliseconds:.0f}")
            )
    return page.Section(
        "few_proposals",
        "Fewer proposals",
        f"DDN ({done[0].steps if done else 0} updates) with so many regions an image; the paper "
        "keeps 92 % of its mAP with 50.",
        ("proposals", "mAP", "of that with 300", "ms an image"),
        rows,
        COMMAND,
        notes=["Milliseconds in PyTorch; on a busy machine they differ by a third."],
    )


def recall() -> page.Section:
    """Share of the true boxes that some proposal overlaps."""
    whole = triscope.data(DATA / "neu_det").split("test")
    data = replace(whole, samples=by_list(whole)[::STEP])
    truths = [np.array([box.box for box in sample.boxes]) for sample in data]
    ways: dict[str, list[NDArray[np.float64]]] = {}
    for run in _done((RUNS["ddn"], *EQUAL)):
        ways[f"RPN of {run.title}, {run.steps} updates"] = list(proposed(trained(run), data))
    if ways:
        ways["sliding window"] = [_windows((200, 200), max(PROPOSED))] * len(data)
    for way, title in UNLEARNED.items():
        path = ROOT / ".bench" / "proposals" / f"{way}.npz"
        if path.is_file():
            with np.load(path) as found:
                ways[title] = [found[Path(sample.name).stem] for sample in data]
    pairs = [(overlap, count) for overlap in OVERLAPS for count in PROPOSED]
    rows = [
        (name, *(f"{100 * _recalled(truths, boxes, n, v):.1f}" for v, n in pairs))
        for name, boxes in ways.items()
    ]
    return page.Section(
        "recall",
        "Recall of proposals, in percent",
        f"Every third test image ({len(data)}). IoU with the true box, and number of proposals. "
        "Edge Boxes works on edges by Canny, since its trained edge detector is a file that "
        "was not at hand. Both by OpenCV's contributed modules, in an environment of their own: "
        "`python -m benchmarks.side_proposals search .bench/proposals/search.npz`.",
        ("", *(f"{overlap}: {count}" for overlap, count in pairs)),
        rows,
        COMMAND,
        [f"{name} is not measured yet." for name in UNLEARNED.values() if name not in ways],
    )


def parts(name: str, runs: tuple[Run, ...]) -> page.Section:
    """Variants of DDN, after a short schedule."""
    rows = []
    for run in _done(runs):
        model = trained(run)
        found, _ = score_of(run, model)
        neck = sum(p.numel() for p in model.detector.neck.parameters()) / 1e6
        head = sum(p.numel() for p in model.detector.head.parameters()) / 1e6
        precise = f"{100 * found['map_50']:.1f}"
        rows.append((run.title, run.steps, precise, f"{neck:.2f} M", f"{head:.2f} M"))
    return page.Section(
        name,
        TITLES[name],
        "The recipe `ddn-cpu`, one run each, seed 0: a difference of one point says little.",
        ("", "updates", "mAP", "parameters of the fusion", "of the head"),
        rows,
        COMMAND,
        _behind(rows),
    )


def _behind(rows: list[tuple[str, int, str, str, str]]) -> list[str]:
    """The variants that are ahead of the published form."""
    own = [float(row[2]) for row in rows if row[0] == LEVELS[-1].title]
    ahead = [f"{row[0]} by {float(row[2]) - own[0]:.1f}" for row in rows if float(row[2]) > own[0]]
    return [f"The paper's form is its best; here it is behind {', '.join(ahead)}."] if ahead else []


def score_of(run: Run, model: Any) -> tuple[dict[str, Any], float]:
    """What ``scored`` answers, kept beside the weights for each number of proposals."""
    path = run.folder / f"scored_{model.detector.proposing.after}.json"
    if not path.is_file():
        path.write_text(json.dumps(scored(model)))
    found, milliseconds = json.loads(path.read_text())
    return found, milliseconds


@torch.inference_mode()
def scored(model: Any) -> tuple[dict[str, Any], float]:
    """Average precision on the test images, and CPU milliseconds an image."""
    data = triscope.data(DATA / "neu_det").split("test")
    seen = Detections(model.classes)
    net, spent = model.graph(), 0.0
    for item in inputs(model, data):
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
    net.proposing = replace(net.proposing, after=max(PROPOSED))
    for item in inputs(model, data):
        boxes, scores = net.proposals(torch.from_numpy(item.image)[None])
        kept = boxes[0][scores[0] >= 0].double().numpy()
        yield kept * ([item.place.scale_x, item.place.scale_y] * 2)


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
