"""How much a metric of images would vary with other images: a stratified bootstrap.

Good and defective images are drawn anew, each class as often as it was there. Of a table of steps
such a draw is a multinomial one, so nothing is sorted again. Images are drawn, never pixels, since
the pixels of one image know of each other. Where the two classes do not overlap at all, no draw
differs, and the interval has no width: that says little about the next image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from triscope.errors import BadSettings
from triscope.kernel.metrics.steps import Bounded, Steps, steps_of


@dataclass(frozen=True)
class Interval:
    """A value and the percentile interval of its bootstrap draws."""

    value: float
    low: float
    high: float
    confidence: float = 0.95


def bootstrap(
    metric: Callable[[Steps], Bounded],
    scores: ArrayLike,
    defective: ArrayLike,
    *,
    draws: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Interval of ``auroc_of``, ``average_precision_of``, ``f1_max_of`` ... over the images."""
    if draws < 1 or not 0 < confidence < 1:
        raise BadSettings(
            f"a bootstrap wants draws >= 1 and confidence in (0, 1), got {draws}, {confidence}."
        )
    steps = steps_of(scores, defective)
    value = metric(steps).value
    rng = np.random.default_rng(seed)
    values = [metric(_drawn(steps, rng)).value for _ in range(draws)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(value, float(low), float(high), confidence)


def _drawn(steps: Steps, rng: np.random.Generator) -> Steps:
    return replace(
        steps, negatives=_draw(steps.negatives, rng), positives=_draw(steps.positives, rng)
    )


def _draw(counts: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    total = counts.sum()
    if total == 0:
        return counts
    return rng.multinomial(int(total), counts / total).astype(np.float64)
