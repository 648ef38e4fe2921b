"""The one table behind every threshold-free metric: how much of each class lies at each score.

Scores that are equal form one step, so ties are never put in an order. A histogram gives the same
table with bins as steps; what a bin hides is the error that each metric states.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from triscope.errors import BadLabels, EmptyData

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Steps:
    """Mass at each distinct score, the largest score first.

    ``scores`` (n,) is the smallest score of the step: predicting "defective" for everything at or
    above it takes the whole step in. ``negatives`` and ``positives`` (n,) are counts, ``regions``
    (n,) the share of defect regions: a pixel counts one over the area of its region.
    ``exact`` says per step whether all its scores are equal.
    """

    scores: Floats
    negatives: Floats
    positives: Floats
    regions: Floats | None = None
    exact: Bools | None = None

    @property
    def all_negatives(self) -> float:
        """Number of good ones."""
        return float(self.negatives.sum())

    @property
    def all_positives(self) -> float:
        """Number of defective ones."""
        return float(self.positives.sum())

    def hidden(self) -> Bools:
        """Where a step may hide an order of its own."""
        if self.exact is None:
            return np.zeros(len(self.scores), dtype=bool)
        return ~self.exact

    def threshold(self, step: int) -> float:
        """A number t such that ``score > t`` takes in the steps up to ``step`` and no more.

        It is a float32 number wherever one fits, since maps of float32 are compared with it.
        """
        here = self.scores[step]
        if self.hidden().any():  # the step below may reach up to here
            return float(np.nextafter(np.float32(here), np.float32(-np.inf)))
        below = self.scores[step + 1] if step + 1 < len(self.scores) else here - 1.0
        middle = float(np.float32(below + (here - below) / 2))
        return middle if below <= middle < here else float(below)


@dataclass(frozen=True)
class Bounded:
    """A metric from a histogram: the exact value lies within ``error`` of ``value``."""

    value: float
    error: float = 0.0
    threshold: float | None = None

    def __float__(self) -> float:
        return self.value


def steps_of(scores: ArrayLike, defective: ArrayLike) -> Steps:
    """Exact steps of scores (n,) with labels (n,), true where defective."""
    values, labels = checked(scores, defective)
    return steps_between(values[~labels], values[labels])


def steps_between(
    good: NDArray[np.floating], bad: NDArray[np.floating], weights: Floats | None = None
) -> Steps:
    """Exact steps of good and defective scores; ``weights`` are the regions' shares of ``bad``."""
    levels = np.unique(np.concatenate([good, bad]))
    ends = np.searchsorted(np.sort(good), levels, side="right")
    negatives = np.diff(ends, prepend=0).astype(np.float64)[::-1]
    where, n = np.searchsorted(levels, bad), len(levels)
    positives = np.bincount(where, minlength=n).astype(np.float64)[::-1]
    regions = None
    if weights is not None:
        regions = np.bincount(where, weights=weights, minlength=n)[::-1].astype(np.float64)
    return Steps(levels[::-1].astype(np.float64), negatives, positives, regions)


def checked(scores: ArrayLike, defective: ArrayLike) -> tuple[Floats, Bools]:
    """Scores as float64 (n,), labels as bool (n,); says what is wrong with them otherwise."""
    values, labels = np.asarray(scores, dtype=np.float64), np.asarray(defective)
    if values.ndim != 1 or labels.shape != values.shape:
        raise BadLabels(
            f"metrics want scores (n,) with labels (n,), got {values.shape} and {labels.shape}."
        )
    if labels.dtype != bool and not np.isin(labels, (0, 1)).all():
        raise BadLabels("labels are true (defective) or false (good); other values were given.")
    must_be_finite(values, "scores")
    return values, labels.astype(bool)


def must_be_finite(values: NDArray[np.floating], what: str) -> None:
    """Raise BadLabels naming the first value that is no number."""
    finite = np.isfinite(values)
    if not finite.all():
        first = int(np.flatnonzero(~finite.ravel())[0])
        raise BadLabels(
            f"{what} must be finite: {int((~finite).sum())} of {finite.size} are not, first "
            f"{values.ravel()[first]} at position {first}. Leave these out, or find out why the "
            "model gave them."
        )


def must_have(steps: Steps, metric: str, positives: bool = True, negatives: bool = True) -> None:
    """Raise EmptyData where a class that the metric compares is missing."""
    found = {"defective": steps.all_positives, "good": steps.all_negatives}
    wanted = {"defective": positives, "good": negatives}
    missing = [name for name, need in wanted.items() if need and found[name] == 0]
    if missing:
        raise EmptyData(
            f"{metric} compares good with defective, but no {' and no '.join(missing)} one was "
            f"given ({found['good']:g} good, {found['defective']:g} defective)."
        )
