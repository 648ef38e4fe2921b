"""Expected calibration error: how far stated probabilities are from what comes true.

Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, 2017 (arXiv:1706.04599).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from triscope.errors import BadLabels


def calibration_error(sure: ArrayLike, right: ArrayLike, bins: int = 15) -> float:
    """The mean distance of accuracy and confidence over bins of equal width, by their counts.

    ``sure`` (n,) are probabilities of what was answered, ``right`` (n,) whether it was so.
    """
    stated, came = np.asarray(sure, np.float64), np.asarray(right, bool)
    if stated.ndim != 1 or stated.shape != came.shape or not len(stated):
        raise BadLabels(
            f"calibration error wants probabilities (n,) and truths (n,), got {stated.shape} and "
            f"{came.shape}."
        )
    places = np.clip(np.ceil(stated * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(places, minlength=bins)
    gaps = np.bincount(places, weights=came - stated, minlength=bins)
    return float(np.abs(gaps[counts > 0]).sum() / len(stated))
