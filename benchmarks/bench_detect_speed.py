"""Detecting in one image, from the file to the boxes: exported DDN against torchvision.

Claim: twice the images a second of torchvision's Faster R-CNN with the same backbone, input and
proposals. ``python -m benchmarks.bench_detect_speed``; the exported DDN is the best one that
``bench_ddn`` has trained.
"""

from __future__ import annotations

from benchmarks import page
from benchmarks.data import ROOT
from benchmarks.ddn_runs import EQUAL, RUNS, exported
from benchmarks.known_page import write
from benchmarks.measure import Run, alternating, child, middle

ROUNDS = 2
FASTER = 2.0
SIDES = {
    "ours": "Triscope, DDN",
    "fpn": "torchvision, Faster R-CNN on a pyramid",
    "fpn.onnx": "torchvision, on a pyramid, exported",
}


def main() -> None:
    """Measure in turn and write the section."""
    done = [run for run in (RUNS["ddn"], EQUAL[0]) if (run.folder / "weights.safetensors").exists()]
    if not done:
        raise SystemExit("no DDN is trained: python -m benchmarks.bench_ddn train ddn")
    ours, theirs = exported(done[0]), ROOT / ".bench" / "detect_speed"

    def side(name: str) -> Run:
        return child("side_detect", name, ours if name == "ours" else theirs)

    sides = {name: (lambda name=name: side(name)) for name in SIDES}
    print(write(section(alternating(ROUNDS, **sides))))


def section(runs: dict[str, list[Run]]) -> page.Section:
    """The table."""
    ours = middle(runs["ours"], "cpu_ms")
    rows, short = [], []
    for name, title in SIDES.items():
        cpu = middle(runs[name], "cpu_ms")
        engine = runs[name][0].said["engine"]
        ratio = cpu / ours
        peak = f"{middle(runs[name], 'peak_mb'):.0f} MB"
        wall = f"{middle(runs[name], 'wall_ms'):.1f}"
        rows.append((f"{title}, {engine}", f"{cpu:.1f}", wall, f"{ratio:.2f}×", peak))
        if name != "ours" and ratio < FASTER:
            short.append(f"{ratio:.2f} times as fast as {title}; twice was the aim.")
    return page.Section(
        "detect_speed",
        "Speed of the exported detector",
        "MobileNetV2, 320 × 320, 100 proposals, 12 anchors a place, 7 classes, one thread; 40 test "
        "images of `neu_det` from the file to boxes in pixels of the image, median of 2 "
        "alternating runs. torchvision's networks have random weights: their precision is not "
        "compared here (`faster_rcnn` with the form `fpn` is the same network, weight for weight).",
        ("", "CPU ms", "wall ms", "ours is faster by", "peak memory"),
        rows,
        "python -m benchmarks.bench_detect_speed",
        short,
    )


if __name__ == "__main__":
    main()
