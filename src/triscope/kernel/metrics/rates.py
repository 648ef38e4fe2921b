"""Accuracy, precision, recall (TPR), FPR, FNR and F1: the rates of one confusion table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from triscope.kernel.metrics.steps import checked


@dataclass(frozen=True)
class Confusion:
    """Counts at one threshold; "positive" means called defective. Rates of nothing are NaN."""

    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.true_negatives + other.true_negatives,
            self.false_negatives + other.false_negatives,
        )

    @property
    def accuracy(self) -> float:
        """Share that was called rightly."""
        right = self.true_positives + self.true_negatives
        return _share(right, right + self.false_positives + self.false_negatives)

    @property
    def precision(self) -> float:
        """Share of the calls that were right."""
        return _share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """TPR: share of the defective ones that were called."""
        return _share(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def fpr(self) -> float:
        """False calls: share of the good ones that were called defective."""
        return _share(self.false_positives, self.false_positives + self.true_negatives)

    @property
    def fnr(self) -> float:
        """Escapes: share of the defective ones that were let through."""
        return _share(self.false_negatives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; the Dice of two masks."""
        both = 2 * self.true_positives
        return _share(both, both + self.false_positives + self.false_negatives)

    @property
    def iou(self) -> float:
        """Intersection over union of what is and what was called defective."""
        hit = self.true_positives
        return _share(hit, hit + self.false_positives + self.false_negatives)

    def to_dict(self) -> dict[str, Any]:
        """Counts and rates; None where a rate has nothing to be of."""
        rates = ("accuracy", "precision", "recall", "fpr", "fnr", "f1", "iou")
        values = {name: getattr(self, name) for name in rates}
        return {**self.__dict__, **{k: None if math.isnan(v) else v for k, v in values.items()}}


def confusion(scores: ArrayLike, defective: ArrayLike, *, above: float) -> Confusion:
    """The table of scores (n,) with labels (n,), where ``score > above`` is called defective."""
    values, labels = checked(scores, defective)
    called = values > above
    return Confusion(
        int((called & labels).sum()),
        int((called & ~labels).sum()),
        int((~called & ~labels).sum()),
        int((~called & labels).sum()),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
