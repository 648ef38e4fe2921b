"""The scores of all captures, the three zones, and thresholds that can be moved."""

from __future__ import annotations

from collections.abc import Sequence

from triscope.kernel.report.page import Section, section
from triscope.kernel.report.rows import Row
from triscope.kernel.results import Zones


def histogram(rows: Sequence[Row], zones: Zones | None) -> Section:
    """Drawn in the page from the shared columns; good parts upwards, defective ones downwards."""
    return section(
        "histogram",
        "Scores",
        labelled=any(row.good is not None for row in rows),
        zones=zones,
        unreadable=sum(row.score != row.score for row in rows),
    )
