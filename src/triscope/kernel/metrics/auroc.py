"""AUROC: the chance that a defective one scores higher than a good one, ties counting half."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from triscope.kernel.metrics.steps import Bounded, Steps, must_have, steps_of


def auroc(scores: ArrayLike, defective: ArrayLike) -> float:
    """Area under the ROC curve of scores (n,) with labels (n,); EmptyData without both classes."""
    return auroc_of(steps_of(scores, defective)).value


def auroc_of(steps: Steps) -> Bounded:
    """AUROC of a table of steps.

    Pairs inside a bin count half. Whatever their order is, they count between nothing and all, so
    the error is at most half the share of pairs that fall into one bin.
    """
    must_have(steps, "AUROC")
    pairs = steps.all_negatives * steps.all_positives
    below = steps.all_negatives - np.cumsum(steps.negatives)
    tied = steps.positives * steps.negatives
    won = float((steps.positives * below).sum() + tied.sum() / 2)
    return Bounded(won / pairs, float(tied[steps.hidden()].sum()) / 2 / pairs)
