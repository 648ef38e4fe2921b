"""F1-max: the best harmonic mean of precision and recall over all thresholds, and where it lies.

On pixels this is the best Dice; the best IoU follows from it, as IoU = F1 / (2 - F1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from triscope.kernel.metrics.steps import Bounded, Steps, must_have, steps_of


def f1_max(scores: ArrayLike, defective: ArrayLike) -> Bounded:
    """The best F1 of scores (n,) with labels (n,), at ``score > threshold``."""
    return f1_max_of(steps_of(scores, defective))


def f1_max_of(steps: Steps) -> Bounded:
    """The best F1 over the steps.

    The value is reached, at ``threshold``. A better cut may lie inside a bin: at best after all of
    its defective and before all of its good ones. The error is how much better that would be.
    """
    must_have(steps, "F1-max", negatives=False)
    hit, false = np.cumsum(steps.positives), np.cumsum(steps.negatives)
    f1 = 2 * hit / (steps.all_positives + hit + false)
    best = int(np.argmax(f1))
    hidden = steps.hidden()
    before = (false - steps.negatives)[hidden]
    ideal = 2 * hit[hidden] / (steps.all_positives + hit[hidden] + before)
    error = max(0.0, float(ideal.max(initial=0.0)) - float(f1[best]))
    return Bounded(float(f1[best]), error, steps.threshold(best))
