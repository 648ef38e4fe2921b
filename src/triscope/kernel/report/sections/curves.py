"""Precision against recall of the boxes of each class, at IoU 0.5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from triscope.kernel.report.page import Section, section

WIDTH, HEIGHT = 520, 320  # of the drawing, without its margins
TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
MOST = 12  # classes that are drawn


def curves(known: Mapping[str, Any]) -> Section | None:
    """A line a class; None where nothing has a curve. The classes with the lowest first."""
    rows = [row for row in known.get("classes") or () if row.get("curve")]
    if not rows:
        return None
    rows.sort(key=lambda row: row["ap_50"])
    lines = [
        (row["name"], f"{row['ap_50']:.3f}", path(row["curve"]), i * 360 // min(len(rows), MOST))
        for i, row in enumerate(rows[:MOST])
    ]
    ticks = [(f"{t:g}", t * WIDTH, HEIGHT * (1 - t)) for t in TICKS]
    return section(
        "curves",
        "Precision and recall",
        lines=lines,
        ticks=ticks,
        width=WIDTH,
        height=HEIGHT,
        more=max(0, len(rows) - MOST),
    )


def path(precisions: Sequence[float]) -> str:
    """The SVG path through precisions at evenly spaced recalls from 0 to 1.

    It ends at the highest recall that was reached: beyond it precision is 0 by definition.
    """
    last = max((i for i, p in enumerate(precisions) if p > 0), default=0)
    step = WIDTH / max(1, len(precisions) - 1)
    points = [f"{i * step:.1f} {HEIGHT * (1 - p):.1f}" for i, p in enumerate(precisions)]
    drawn = points[: last + 1]
    if last + 1 < len(points):
        drawn.append(f"{last * step:.1f} {HEIGHT}")
    return "M" + "L".join(drawn)
