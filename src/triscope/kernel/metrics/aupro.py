"""PRO and AUPRO: how much of each defect region is found, whatever its size.

As in the evaluation code of MVTec AD (Bergmann et al. 2019, 2021): a region is an 8-connected
component of a ground-truth mask; the overlap of a region is the share of its pixels whose score is
above the threshold; PRO is the mean overlap over all regions of all images; FPR is the share of
all pixels outside all regions (good images included) that are above it. AUPRO is the area under
PRO over FPR from (0, 0) to ``fpr_limit``, by trapezoids between the distinct scores, PRO at the
limit interpolated, divided by the limit: 1 is perfect, a constant detector has ``fpr_limit / 2``.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from triscope.errors import BadLabels, BadSettings, EmptyData
from triscope.kernel.metrics.steps import Bounded, Floats, Steps, must_have


def aupro(
    maps: Iterable[ArrayLike], masks: Iterable[ArrayLike | None], *, fpr_limit: float = 0.3
) -> float:
    """Exact AUPRO of score maps (h, w) with bool masks (h, w), None for good images.

    All scores are kept; :class:`triscope.kernel.metrics.Pixels` streams.
    """
    from triscope.kernel.metrics.pixels import Pixels

    pixels = Pixels(exact=True)
    for heat, mask in zip(maps, masks, strict=True):
        pixels.add(heat, mask)
    return pixels.aupro(fpr_limit).value


def aupro_of(steps: Steps, fpr_limit: float = 0.3) -> Bounded:
    """AUPRO of a table of steps with ``regions``.

    Inside a bin the true curve climbs somehow from one corner of a box to the opposite one: the
    trapezoid is wrong by at most half the box. In the bin that the limit cuts, by the part of the
    box on this side of the limit.
    """
    if not 0 < fpr_limit <= 1:
        raise BadSettings(f"fpr_limit is a share in (0, 1], got {fpr_limit}.")
    fpr, pro = pro_curve(steps)
    left, right = fpr[:-1], np.minimum(fpr[1:], fpr_limit)
    inside = left < fpr_limit
    width, rise = np.diff(fpr), np.diff(pro)
    part = np.divide(right - left, width, out=np.zeros_like(width), where=width > 0)
    end = pro[:-1] + rise * part
    area = ((right - left) * (pro[:-1] + end) / 2)[inside].sum()
    cut = fpr[1:] > fpr_limit
    doubt = (right - left) * rise * np.where(cut, 1.0, 0.5)
    error = doubt[inside & steps.hidden()].sum()
    return Bounded(float(area) / fpr_limit, float(error) / fpr_limit)


def pro_curve(steps: Steps) -> tuple[Floats, Floats]:
    """FPR (n + 1,) and PRO (n + 1,) from (0, 0) to (1, 1), one point a step."""
    must_have(steps, "PRO")
    if steps.regions is None:
        raise EmptyData("PRO needs the defect regions of masks; these steps were made without.")
    fpr = np.cumsum(steps.negatives) / steps.all_negatives
    pro = np.cumsum(steps.regions) / steps.regions.sum()
    zero = np.zeros(1)
    return np.concatenate([zero, fpr]), np.concatenate([zero, np.minimum(pro, 1.0)])


def region_labels(mask: ArrayLike) -> tuple[int, NDArray[np.int32]]:
    """How many 8-connected regions a bool mask (h, w) has, and int32 (h, w) naming them from 1."""
    values = np.asarray(mask)
    if values.dtype != bool or values.ndim != 2:
        raise BadLabels(f"a mask is bool (h, w), got {values.dtype} {values.shape}.")
    count, labels = cv2.connectedComponents(values.view(np.uint8), connectivity=8)
    return count - 1, np.asarray(labels, dtype=np.int32)
