"""Any figure by group with bootstrap intervals: lines, cameras, materials, suppliers, people.

The published fairness analysis (arXiv:2304.02643 section 6, appendix C) for any table: groups whose
intervals do not overlap are named.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from triscope.errors import BadLabels

DRAWS, CONFIDENCE = 2000, 0.95


@dataclass(frozen=True)
class Group:
    """Mean of one group and its interval."""

    name: str
    count: int
    mean: float
    low: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def by_group(
    values: Mapping[str, Sequence[float]], *, draws: int = DRAWS, seed: int = 0
) -> list[Group]:
    """Mean and percentile interval of each group's values; groups in the order given."""
    rng = np.random.default_rng(seed)
    found = []
    for name, given in values.items():
        table = np.asarray(given, np.float64)
        means = np.array(
            [table[rng.integers(len(table), size=len(table))].mean() for _ in range(draws)]
        )
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(means, (tail, 1 - tail))
        found.append(Group(name, len(table), float(table.mean()), float(low), float(high)))
    return found


def apart(groups: Sequence[Group]) -> list[tuple[str, str]]:
    """Pairs of groups whose intervals do not overlap."""
    return [
        (a.name, b.name) for a, b in combinations(groups, 2) if a.high < b.low or b.high < a.low
    ]


def read_groups(path: Path) -> dict[str, str]:
    """A CSV with the columns ``name`` and ``group``: the group of each image."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            missing = {"name", "group"} - set(rows.fieldnames or ())
            if missing:
                raise BadLabels(
                    f"{path} lacks the column {' and '.join(sorted(missing))}: expected a CSV with "
                    f"name,group; it has {', '.join(rows.fieldnames or ()) or 'no header'}."
                )
            return {row["name"]: row["group"] for row in rows}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadLabels(f"{path} cannot be read as a CSV of groups: {error}.") from error


def grouped(rows: Sequence[tuple[str, float]], groups: Mapping[str, str]) -> dict[str, list[float]]:
    """Values (name, value) by group; raises BadLabels naming images without a group."""
    lost = [name for name, _ in rows if name not in groups]
    if lost:
        shown = ", ".join(lost[:3])
        raise BadLabels(f"{len(lost)} images have no group, first {shown}: add them to the CSV.")
    out: dict[str, list[float]] = {}
    for name, value in rows:
        out.setdefault(groups[name], []).append(value)
    return out
