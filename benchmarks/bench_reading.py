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
TASKS = {
    "read": "`mvtec_bottle`: 292 JPEG files of 448 × 448 to float planes of 256 × 256",
    "augment": "600 images of `neu_det` with their boxes: mirror, affine, light",
}


def main() -> None:
    """Measure and write the page."""
    rows, short = [], []
    for task, title in TASKS.items():
        runs = alternating(
            ROUNDS,
            triscope=lambda task=task: child("side_reading", "triscope", task),
            torchvision=lambda task=task: child("side_reading", "torchvision", task),
        )
        ours, theirs = middle(runs["triscope"], "ms"), middle(runs["torchvision"], "ms")
        said = [runs[who][0].said["said"] for who in ("triscope", "torchvision")]
        rows.append(
            (
                title,
                f"{ours:.2f}",
                f"{theirs:.2f}",
                f"{theirs / ours:.1f}×",
                f"{said[0]:.4g} / {said[1]:.4g}",
            )
        )
        if ours > theirs:
            short.append(f"{task}: slower by {ours / theirs:.1f}.")
    section = page.Section(
        "reading",
        "Reading and augmenting",
        "The last column is a figure of the answer on both sides: the mean of all planes; the "
        "number of boxes that are left (the draws differ, and torchvision keeps every box that "
        "shows at all, where ours drops those of which less than a quarter is left).",
        ("", "Triscope ms", "torchvision ms", "faster", "answer"),
        rows,
        "python -m benchmarks.bench_reading",
        short,
    )
    text = page.render(section)
    PAGE.write_text(f"{TITLE}\n{text}", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
