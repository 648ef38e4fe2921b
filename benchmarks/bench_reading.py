"""Reading and augmenting images: ours against torchvision's transforms (v2) and Pillow.

``python -m benchmarks.bench_reading`` writes docs/benchmarks/data.md.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks import page
from benchmarks.measure import alternating, child, middle

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "data.md"
TITLE = """# Benchmarks: data

CPU milliseconds of one thread an image, medians of alternating runs. Data: `shared/data` beside the
repository.
"""
ROUNDS = 3
FILES = "292 JPEG files of `mvtec_bottle`, 448 × 448, to float planes of 256 × 256"
BOXES = "600 images of `neu_det` with their boxes: mirror, affine, light"
CASES = (
    ("read", "torchvision", FILES, "Pillow, bytes resized by torchvision"),
    ("read", "floats", FILES, "Pillow, floats resized by torchvision, as anomalib 2.7 reads"),
    ("augment", "torchvision", BOXES, "torchvision v2"),
)


def main() -> None:
    """Measure and write the page."""
    rows, short = [], []
    for task, other, what, name in CASES:
        runs = alternating(
            ROUNDS,
            ours=lambda task=task: child("side_reading", "triscope", task),
            theirs=lambda task=task, other=other: child("side_reading", other, task),
        )
        ours, theirs = middle(runs["ours"], "ms"), middle(runs["theirs"], "ms")
        said = [runs[who][0].said["said"] for who in ("ours", "theirs")]
        answer = f"{said[0]:.4g} / {said[1]:.4g}"
        rows.append((what, name, f"{ours:.2f}", f"{theirs:.2f}", f"{theirs / ours:.2f}×", answer))
        if ours > theirs:
            short.append(f"{task}, {name}: we are slower by {ours / theirs:.2f}.")
    section = page.Section(
        "reading",
        "Reading and augmenting",
        "The last column is a figure of the answer on both sides: the mean of all planes; the "
        "number of boxes that are left (the draws differ, and torchvision keeps every box that "
        "shows at all, where ours drops those of which less than a quarter is left).",
        ("", "against", "our ms", "their ms", "faster", "answer"),
        rows,
        "python -m benchmarks.bench_reading",
        short,
    )
    text = page.render(section)
    PAGE.write_text(f"{TITLE}\n{text}", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
