"""IoU and Dice of two masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from triscope.errors import BadLabels
from triscope.kernel.metrics.rates import Confusion


def iou(found: ArrayLike, truth: ArrayLike) -> float:
    """Intersection over union of two bool masks (h, w); 1 where both are empty."""
    table = mask_confusion(found, truth)
    return 1.0 if _both_empty(table) else table.iou


def dice(found: ArrayLike, truth: ArrayLike) -> float:
    """Twice the intersection over the sum of both areas; 1 where both are empty."""
    table = mask_confusion(found, truth)
    return 1.0 if _both_empty(table) else table.f1


def mask_confusion(found: ArrayLike, truth: ArrayLike) -> Confusion:
    """Counts of pixels of two bool masks of one shape."""
    a, b = _mask(found), _mask(truth)
    if a.shape != b.shape:
        raise BadLabels(f"masks of one size are compared, got {a.shape} and {b.shape}.")
    both, n_a, n_b = int((a & b).sum()), int(a.sum()), int(b.sum())
    return Confusion(both, n_a - both, a.size - n_a - n_b + both, n_b - both)


def _mask(values: ArrayLike) -> NDArray[np.bool_]:
    mask = np.asarray(values)
    if mask.dtype != bool:
        raise BadLabels(f"a mask is bool, got {mask.dtype}; compare it with a threshold first.")
    return mask


def _both_empty(table: Confusion) -> bool:
    return table.true_positives + table.false_positives + table.false_negatives == 0
