"""The page of the models that learn from labels: each script writes its own sections."""

from __future__ import annotations

from benchmarks import page

PAGE = page.ROOT / "docs" / "benchmarks" / "known_defects.md"
TITLE = """# Benchmarks: known defects

Every section is written by the script that it names. Data: `shared/data` beside the repository, as
its notes describe; `neu_det` has 1260 training and 540 test images, as split there. The backbone is
MobileNetV2 pretrained on ImageNet (`shared/data/weights`), seed 0. Nothing was chosen on the test
images: the last weights of a fixed schedule are scored.
"""
ORDER = (
    "precision",
    "few_proposals",
    "recall",
    "failures",
    "heads",
    "levels",
    "placements",
    "classes",
    "weak",
    "masks",
    "detect_speed",
    "compression",
    "step_share",
)


def write(section: page.Section) -> str:
    """Put the section in its place; answers its text."""
    return page.write(section, PAGE, title=TITLE, first=ORDER)
