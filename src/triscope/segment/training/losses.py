"""Losses of masks and of their predicted quality, arXiv:2304.02643 section 3 and appendix A.

Targets are shares of a cell that the mask covers, in [0, 1]: at the resolution of the logits a
thin thing covers no cell wholly. With targets of 0 and 1 these are the published losses.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

ALPHA, GAMMA = 0.25, 2.0  # of the focal loss, arXiv:1708.02002


def focal(
    logits: Float[Tensor, "n k l l"], target: Float[Tensor, "n 1 l l"]
) -> Float[Tensor, "n k"]:
    """Focal loss, averaged over the cells of each mask."""
    target = target.expand_as(logits)
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    p = logits.sigmoid()
    # Distance from the target instead of 1 - p_t: equal for 0 and 1, and 0 at a share that is met.
    missed = (p - target).abs() ** GAMMA
    weight = ALPHA * target + (1 - ALPHA) * (1 - target)
    return (weight * missed * entropy).mean(dim=(2, 3))


def dice(
    logits: Float[Tensor, "n k l l"], target: Float[Tensor, "n 1 l l"]
) -> Float[Tensor, "n k"]:
    """One minus the Dice overlap of each mask, smoothed by one cell (arXiv:1606.04797)."""
    p = logits.sigmoid()
    shared = 2 * (p * target).sum(dim=(2, 3))
    whole = p.sum(dim=(2, 3)) + target.sum(dim=(2, 3))
    return 1 - (shared + 1) / (whole + 1)


@torch.no_grad()
def true_iou(
    logits: Float[Tensor, "n k l l"], target: Float[Tensor, "n 1 l l"]
) -> Float[Tensor, "n k"]:
    """Overlap of each thresholded mask with the truth; 0 where both are empty."""
    found, truth = logits > 0, target >= 0.5
    shared = (found & truth).sum(dim=(2, 3))
    return shared / (found | truth).sum(dim=(2, 3)).clamp(min=1)
