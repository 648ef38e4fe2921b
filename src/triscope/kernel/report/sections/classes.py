"""Every known class by itself: how many there were, and how well they were found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from triscope.kernel.report.page import Section, section

# What is shown of a row of ``evaluation.known``, for boxes, classes and masks: key and title.
COLUMNS = {
    "truths": "there",
    "captures": "parts",
    "images": "images",
    "frames": "frames",
    "found": "found",
    "ap_50": "AP, IoU 0.5",
    "ap_50_95": "AP, 0.5 to 0.95",
    "recall": "recall",
    "recall_50": "highest recall",
    "precision": "precision",
    "f1": "F1",
    "iou": "IoU",
    "dice": "Dice",
    "boundary_f": "boundary F",
}
NOTES = {
    "ap_50": "AP: average precision of boxes, over all scores. Found: all boxes of the graph, "
    "whatever their score.",
    "f1": "Recall: share of the parts of a class that are named so. Precision: share of those "
    "named so that are of the class.",
    "iou": "Of all pixels of the images of a defect together, at the threshold of regions.",
}


def classes(known: Mapping[str, Any]) -> Section | None:
    """A line a class; None where no class is known."""
    rows = [row for row in known.get("classes") or known.get("types") or () if "name" in row]
    names = [name for name in COLUMNS if any(name in row for row in rows)]
    if not names:
        return None
    lines = [(row["name"], [(name, _shown(row.get(name))) for name in names]) for row in rows]
    notes = [text for name, text in NOTES.items() if name in names]
    titles = [COLUMNS[name] for name in names]
    return section("classes", "By class", titles=titles, lines=lines, notes=notes)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
