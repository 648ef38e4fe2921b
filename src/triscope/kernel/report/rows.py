"""What the report keeps of every inspection: a few numbers, never the picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from triscope.kernel.data import Sample
from triscope.kernel.results import Inspection


@dataclass(frozen=True)
class Row:
    """One inspection. ``label`` is what is known of the part ("" if nothing), ``good`` follows."""

    score: float
    outcome: str
    label: str = ""
    good: bool | None = None
    seconds: tuple[tuple[str, float], ...] = ()


def row_of(inspection: Inspection, sample: Sample | None) -> Row:
    """The row of one inspection, with what its sample knows of the part."""
    label = (sample.label or "") if sample is not None else ""
    return Row(
        score=inspection.score,
        outcome=inspection.verdict.outcome,
        label=label,
        good=(sample.good if sample is not None and label else None),
        seconds=tuple(inspection.seconds.items()),
    )


def shared_rows(rows: Sequence[Row]) -> dict[str, Any]:
    """Columns for the scripts: raw scores (null: not finite), good 1, bad 0, unknown -1, labels."""
    labels = sorted({row.label for row in rows})
    number = {label: i for i, label in enumerate(labels)}
    return {
        "scores": [short(row.score) for row in rows],
        "good": [-1 if row.good is None else int(row.good) for row in rows],
        "labels": labels,
        "label": [number[row.label] for row in rows],
    }


def short(value: float) -> float | None:
    """Seven significant digits: float32 is not more exact, and the page stays small."""
    return float(f"{value:.7g}") if math.isfinite(value) else None
