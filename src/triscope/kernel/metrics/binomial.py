"""Exact bounds of a share from counts: Clopper and Pearson (1934), without SciPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

from triscope.errors import BadSettings


def at_most(k: int, n: int, p: float) -> float:
    """P(X <= k) for X ~ Binomial(n, p)."""
    if k < 0:
        return 0.0
    if k >= n or p <= 0:
        return 1.0
    if p >= 1:
        return 0.0
    if k > n * p:  # sum the smaller tail
        return max(0.0, 1.0 - math.fsum(_terms(k + 1, n, n, p)))
    return min(1.0, math.fsum(_terms(0, k, n, p)))


@lru_cache(maxsize=4096)
def upper_bound(k: int, n: int, confidence: float = 0.95) -> float:
    """The largest share under which k or fewer of n are not yet too unlikely.

    With ``confidence`` the true share is no larger. For k = 0 it is ``1 - (1 - confidence)^(1/n)``.
    """
    _check(k, n, confidence)
    if k == n:
        return 1.0
    return _solve(lambda p: at_most(k, n, p) > 1 - confidence)


def lower_bound(k: int, n: int, confidence: float = 0.95) -> float:
    """With ``confidence`` the true share is no smaller, having seen k of n."""
    return 1.0 - upper_bound(n - k, n, confidence)


def share_interval(k: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided interval of a share: both bounds at half the doubt. n = 0 knows nothing: (0, 1)."""
    if n == 0:
        return 0.0, 1.0
    each = 1 - (1 - confidence) / 2
    return lower_bound(k, n, each), upper_bound(k, n, each)


def _terms(first: int, last: int, n: int, p: float) -> list[float]:
    """The probabilities of first..last, leaving out what is far too small to count."""
    log_p, log_q = math.log(p), math.log1p(-p)
    whole = math.lgamma(n + 1)
    spread = 12 * math.sqrt(n * p * (1 - p)) + 40
    first, last = max(first, math.floor(n * p - spread)), min(last, math.ceil(n * p + spread))
    return [
        math.exp(whole - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * log_p + (n - i) * log_q)
        for i in range(first, last + 1)
    ]


def _solve(still_likely: Callable[[float], bool]) -> float:
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if still_likely(middle):
            low = middle
        else:
            high = middle
    return high


def _check(k: int, n: int, confidence: float) -> None:
    if not (0 <= k <= n and n > 0):
        raise BadSettings(f"{k} of {n} is not a share.")
    if not 0 < confidence < 1:
        raise BadSettings(f"confidence is a number in (0, 1), got {confidence}.")
