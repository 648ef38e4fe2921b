"""Average precision: the area under the precision-recall curve, as a sum of steps.

    AP = sum over thresholds of (recall_i - recall_(i-1)) * precision_i

without interpolation, equal scores together. A constant detector scores the share of defects.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from triscope.kernel.metrics.steps import Bounded, Floats, Steps, must_have, steps_of


def average_precision(scores: ArrayLike, defective: ArrayLike) -> float:
    """Average precision of scores (n,) with labels (n,); EmptyData without a defective one."""
    return average_precision_of(steps_of(scores, defective)).value


def average_precision_of(steps: Steps) -> Bounded:
    """Average precision of a table of steps.

    Inside a bin the defective ones may all come first (precision at most that of the bin's
    positives over the negatives before it) or all last, where the sum over them is at least the
    integral of x / (x + negatives). The error is the larger distance to these two.
    """
    must_have(steps, "average precision", negatives=False)
    here, hit = steps.positives, np.cumsum(steps.positives)
    false = np.cumsum(steps.negatives)
    parts = here * _ratio(hit, hit + false)
    hidden = steps.hidden() & (here > 0)
    p, tp, fp, fp_before = (
        here[hidden],
        hit[hidden],
        false[hidden],
        (false - steps.negatives)[hidden],
    )
    best = p * _ratio(tp, tp + fp_before)
    worst = p - fp * np.log(_ratio(tp + fp, tp - p + fp, otherwise=1.0))
    above = float((best - parts[hidden]).sum())
    below = float((parts[hidden] - worst).sum())
    total = steps.all_positives
    return Bounded(float(parts.sum()) / total, max(above, below, 0.0) / total)


def _ratio(top: Floats, bottom: Floats, otherwise: float = 0.0) -> Floats:
    return np.divide(top, bottom, out=np.full_like(top, otherwise), where=bottom > 0)
