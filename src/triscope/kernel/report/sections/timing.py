"""How long each stage took."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from triscope.kernel.report.page import Section, section
from triscope.kernel.report.rows import Row

MEANING = {
    "read": "ahead of the model: decode and resize, or scan and compare",
    "model": "the exported graph",
    "findings": "regions and verdict",
}


def timing(rows: Sequence[Row], wall_s: float) -> Section | None:
    """Median, 95th percentile and sum of each stage; None where no time was taken."""
    stages: dict[str, list[float]] = {}
    for row in rows:
        for name, seconds in row.seconds:
            stages.setdefault(name, []).append(seconds)
    if not stages:
        return None
    lines = [
        (
            name,
            MEANING.get(name, ""),
            1e3 * float(np.median(taken)),
            1e3 * float(np.quantile(taken, 0.95)),
            float(np.sum(taken)),
        )
        for name, taken in stages.items()
    ]
    rate = len(rows) / wall_s if wall_s > 0 else 0.0
    return section("timing", "Timing", lines=lines, wall_s=wall_s, rate=rate, count=len(rows))
