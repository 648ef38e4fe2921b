"""Which class was taken for which: the confusion matrix, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass
class Names:
    """Named captures beside their true names."""

    classes: Sequence[str]
    unknown: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.classes)
        self._table: NDArray[np.int64] = np.zeros((count, count), np.int64)

    def add(self, truth: str, found: str) -> None:
        """One capture; names that the check does not know are counted, and left out."""
        if truth not in self.classes:
            self.unknown[truth] = self.unknown.get(truth, 0) + 1
            return
        names = list(self.classes)
        self._table[names.index(truth), names.index(found)] += 1

    def result(self) -> dict[str, Any]:
        """``accuracy``, ``mean_class_accuracy``, ``matrix`` (rows: truth), one row a class."""
        table = self._table
        right, truths, found = np.diag(table), table.sum(1), table.sum(0)
        total = int(table.sum())
        rows: list[dict[str, Any]] = []
        for i, name in enumerate(self.classes):
            recall = _share(right[i], truths[i])
            precision = _share(right[i], found[i])
            both = None if recall is None or precision is None else recall + precision
            f1 = 2 * (recall or 0) * (precision or 0) / both if both else both
            row = {"name": name, "captures": int(truths[i]), "recall": recall}
            rows.append({**row, "precision": precision, "f1": f1})
        recalls = [row["recall"] for row in rows if row["recall"] is not None]
        return {
            "accuracy": _share(right.sum(), total),
            "mean_class_accuracy": float(np.mean(recalls)) if recalls else None,
            "matrix": table.tolist(),
            "classes": rows,
            "unknown": dict(self.unknown),
        }


def _share(part: Any, whole: Any) -> float | None:
    return float(part / whole) if whole else None
