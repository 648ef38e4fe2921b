"""How many captures passed, need a look, failed, or could not be read."""

from __future__ import annotations

from collections.abc import Sequence

from triscope.kernel.report.page import Section, section
from triscope.kernel.report.rows import Row
from triscope.kernel.results import OUTCOMES


def verdicts(rows: Sequence[Row], skipped: int, basis: str) -> Section:
    """Counts of outcomes; with labels also what they cost: escapes and rejected good parts."""
    counts = [(name, sum(row.outcome == name for row in rows)) for name in OUTCOMES]
    good = [row for row in rows if row.good is True]
    bad = [row for row in rows if row.good is False]
    return section(
        "verdicts",
        "Verdicts",
        counts=counts,
        total=len(rows),
        skipped=skipped,
        basis=basis,
        good=len(good),
        bad=len(bad),
        escaped=sum(row.outcome == "pass" for row in bad),
        rejected=sum(row.outcome == "fail" for row in good),
        looked_at=sum(row.outcome == "review" for row in good),
    )
