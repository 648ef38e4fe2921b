"""Detecting in one image, from the file to the boxes: exported DDN against torchvision.

Claim: twice the images a second of torchvision's Faster R-CNN with the same backbone, input and
proposals, at the same precision. ``python -m benchmarks.bench_detect_speed``, once ``bench_ddn``
has trained ``lean``, ``lean_r4`` and ``lean_fpn``: torchvision's networks take the weights of the
last two, and answer the same boxes.
"""

from __future__ import annotations

import triscope
from benchmarks import page
from benchmarks.bench_ddn import done, score_of
from benchmarks.data import ROOT
from benchmarks.ddn_runs import LEAN, RUNS, TOGETHER, TWICE, exported, trained
from benchmarks.ddn_runs import Run as Trained
from benchmarks.known_page import write
from benchmarks.measure import Run, alternating, child, middle

ROUNDS = 2
FASTER = 2.0
NEAR = 3.0  # points of mAP within which two detectors count as equal
EARLIER = (
    "Earlier, at 320 × 320 on an AMD EPYC with torchvision's usual pyramid of MobileNetV2 and "
    "random weights, whose precision says nothing: 2.85 times as fast as it in ONNX Runtime, 5.87 "
    "times as in PyTorch."
)
THEIRS = ("lean_r4", "lean_fpn")


def main() -> None:
    """Measure in turn and write the section."""
    there = [run.name for run in done((TOGETHER, *(RUNS[name] for name in THEIRS)))]
    if TOGETHER.name not in there or len(there) < 2:
        names = " ".join((TOGETHER.name, *THEIRS))
        raise SystemExit(f"train them first: python -m benchmarks.bench_ddn train {names}")
    theirs = ROOT / ".bench" / "detect_speed"
    ours = TOGETHER.folder / "openvino"
    if not ours.is_dir():  # which engine is the faster one a busy machine may tell wrongly
        triscope.open(exported(TOGETHER)).export(ours, engine="openvino")

    def side(name: str) -> Run:
        return child("side_detect", name, ours if name == "ours" else theirs)

    names = [f"{name}{form}" for name in THEIRS if name in there for form in ("", ".onnx")]
    sides = {name: (lambda name=name: side(name)) for name in ("ours", *names)}
    print(write(section(alternating(ROUNDS, **sides))))


def section(runs: dict[str, list[Run]]) -> page.Section:
    """The table."""
    ours, own = middle(runs["ours"], "cpu_ms"), precision(TOGETHER)
    rows, short = [], []
    for name, measured in runs.items():
        run = TOGETHER if name == "ours" else RUNS[name.partition(".")[0]]
        title = "Triscope, DDN" if name == "ours" else f"torchvision, {run.title}"
        title = f"{title}, {measured[0].said['engine']}"
        cpu, precise = middle(measured, "cpu_ms"), precision(run)
        ratio = cpu / ours
        peak = f"{middle(measured, 'peak_mb'):.0f} MB"
        rows.append((title, f"{precise:.1f}", f"{cpu:.1f}", f"{ratio:.2f}×", peak))
        if name != "ours" and ratio < FASTER:
            short.append(f"{ratio:.2f} times as fast as {title}; twice was the aim.")
        if "." not in name and own < precise - NEAR:
            short.append(f"{precise - own:.1f} points of mAP below {title}.")
    return page.Section(
        "detect_speed",
        "Speed of the exported detector",
        f"MobileNetV2, {LEAN['size']} × {LEAN['size']}, 100 proposals, 12 anchors a place (the "
        "pyramid: 3 a place of each of 5 levels), one thread; 40 test images of `neu_det` from the "
        f"file to boxes in pixels of the image, median of {ROUNDS} alternating runs. All were "
        f"trained for the same {TWICE} updates ([above](#five-steps-or-all-at-once-in-little-time)"
        "); torchvision's `FasterRCNN` has the weights of our `faster_rcnn` and answers the same "
        "boxes, so that the mAP of the 540 test images, scored in PyTorch, is that of both.",
        ("", "mAP", "CPU ms", "ours is faster by", "peak memory"),
        rows,
        "python -m benchmarks.bench_detect_speed",
        short,
        [EARLIER],
    )


def precision(run: Trained) -> float:
    """mAP at IoU 0.5 on the test images, in percent."""
    return 100 * float(score_of(run, trained(run))[0]["map_50"])


if __name__ == "__main__":
    main()
