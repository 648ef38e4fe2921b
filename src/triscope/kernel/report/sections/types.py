"""What became of each known type of part."""

from __future__ import annotations

from collections.abc import Sequence

from triscope.kernel.report.page import Section, section
from triscope.kernel.report.rows import Row
from triscope.kernel.results import OUTCOMES


def types(rows: Sequence[Row]) -> Section | None:
    """A line for each label, good parts first; None where nothing is labelled."""
    labels = sorted({r.label for r in rows if r.good is False})
    good = sorted({r.label for r in rows if r.good is True})
    if not labels and not good:
        return None
    lines = []
    for label in (*good, *labels):
        mine = [row for row in rows if row.label == label and row.good is not None]
        counts = [sum(row.outcome == name for row in mine) for name in OUTCOMES]
        scores = sorted(row.score for row in mine)
        lines.append((label, len(mine), counts, scores[len(scores) // 2], label in good))
    return section("types", "By type", lines=lines, outcomes=OUTCOMES)
