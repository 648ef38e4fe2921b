"""Order statistics of held-out good scores: the line that a promise allows.

The line has r of n scores above it. Whatever the distribution, the share of all good parts above
it is at most that of a Beta(r + 1, n - r) variable, so it exceeds ``share`` with a probability of
at most P(Binomial(n, share) <= r). The largest r is taken for which that is no more than
``1 - confidence``: the lowest line that the promise allows.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from triscope.errors import BadLabels, BadSettings, EmptyData, PromiseTooLow
from triscope.kernel.metrics.binomial import at_most, upper_bound
from triscope.kernel.metrics.steps import must_be_finite

Scores = NDArray[np.float64]


def scores_of(values: ArrayLike, whose: str) -> Scores:
    """Scores as float64 (n,); says what is wrong with them otherwise."""
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1:
        raise BadLabels(f"scores of {whose} are (n,), got {scores.shape}.")
    if not scores.size:
        raise EmptyData(f"thresholds need scores of {whose}, none was given.")
    must_be_finite(scores, f"scores of {whose}")
    return scores


def line_for(scores: Scores, share: float, confidence: float) -> float:
    """The lowest line above which at most ``share`` of good parts lie, with ``confidence``."""
    return float(np.sort(scores)[len(scores) - 1 - above_line(len(scores), share, confidence)])


@lru_cache(maxsize=1024)
def above_line(n: int, share: float, confidence: float) -> int:
    """How many of n held-out good parts may lie above it; PromiseTooLow where not even 0."""
    check_shares(share=share, confidence=confidence)
    doubt = 1 - confidence + 1e-12  # a promise that is met exactly is met
    if at_most(0, n, share) > doubt:
        raise PromiseTooLow(_too_low(n, share, confidence))
    low, high = 0, n - 1
    while low < high:
        middle = (low + high + 1) // 2
        if at_most(middle, n, share) <= doubt:
            low = middle
        else:
            high = middle - 1
    return low


def lowest_promise(good_parts: int, confidence: float = 0.95) -> float:
    """The smallest false-reject share that this many good parts can promise: 60 give 0.0487."""
    return upper_bound(0, good_parts, confidence)


def parts_needed(false_reject: float, confidence: float = 0.95) -> int:
    """How many held-out good parts a promise needs at least: 0.01 at 0.95 needs 299."""
    check_shares(false_reject=false_reject, confidence=confidence)
    return math.ceil(math.log(1 - confidence) / math.log1p(-false_reject) - 1e-9)


def check_shares(**shares: float) -> None:
    """Raise BadSettings for a share outside (0, 1)."""
    for name, value in shares.items():
        if not 0 < value < 1:
            raise BadSettings(f"{name} is a share in (0, 1), got {value}: 1 % is 0.01.")


def percent(share: float) -> str:
    """A share as people read it: 0.0487 -> '4.9 %'."""
    return f"{100 * share:.2g} %" if share < 0.985 else f"{100 * share:.4g} %"


def _too_low(n: int, share: float, confidence: float) -> str:
    lowest = lowest_promise(n, confidence)
    reachable = 1 - (1 - share) ** n
    content = ""
    if reachable >= 0.5:
        content = f", or be content with confidence={math.floor(reachable * 100) / 100:g}"
    return (
        f"{n} good part{'s' * (n != 1)}: nothing below {percent(lowest)} at {percent(confidence)} "
        f"confidence, but {percent(share)} was asked. Hold out {parts_needed(share, confidence)} "
        f"good parts, or promise false_reject={math.ceil(lowest * 1000) / 1000:g}{content}."
    )
