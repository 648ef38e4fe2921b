"""The region proposal network (Faster R-CNN, arXiv:1506.01497, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.surface.models import _boxes

WEIGHTS: _boxes.Weights = (1.0, 1.0, 1.0, 1.0)
Truths = Sequence[Float[Tensor, "_ 4"]]


@dataclass(frozen=True)
class Proposing:
    """How many boxes go in and come out, and which count as found."""

    before: int = 1000  # boxes a level before suppression
    after: int = 300  # boxes an image after it
    overlap: float = 0.7  # IoU above which the weaker box is dropped
    low: float = 0.3  # IoU with the truth below which an anchor is background
    high: float = 0.7  # IoU from which it is an object
    sampled: int = 128  # anchors an image in the loss
    share: float = 0.5  # of them that are objects, at most


class Slid(NamedTuple):
    """What the network says of every anchor; one entry a level."""

    logits: list[Float[Tensor, "b _"]]
    offsets: list[Float[Tensor, "b _ 4"]]
    anchors: list[Float[Tensor, "_ 4"]]


class RegionProposals(nn.Module):
    """A 3x3 convolution slides over each map; from each place, k scores and k boxes."""

    cells: Tensor

    def __init__(
        self,
        channels: int,
        *,
        sizes: Sequence[Sequence[float]],
        ratios: Sequence[float],
        hidden: int = 0,
    ) -> None:
        super().__init__()
        self.levels = len(sizes)
        cells = torch.stack([_boxes.cell_anchors(some, ratios) for some in sizes])  # (l, k, 4)
        self.register_buffer("cells", cells, persistent=False)
        hidden = hidden or channels
        self.conv = nn.Conv2d(channels, hidden, 3, padding=1)
        self.objectness = nn.Conv2d(hidden, cells.shape[1], 1)
        self.offsets = nn.Conv2d(hidden, 4 * cells.shape[1], 1)
        for layer in (self.conv, self.objectness, self.offsets):
            assert layer.bias is not None
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)

    def forward(self, maps: Sequence[Float[Tensor, "b c _ _"]], size: tuple[int, int]) -> Slid:
        """Per level: logits (b, n), offsets (b, n, 4) and anchors (n, 4) of an input (h, w)."""
        logits, offsets, anchors = [], [], []
        for level, x in enumerate(maps):
            b, _, h, w = x.shape
            hidden = F.relu(self.conv(x))
            logits.append(self.objectness(hidden).permute(0, 2, 3, 1).reshape(b, -1))
            moved = self.offsets(hidden).view(b, -1, 4, h, w)  # (b, k, 4, h, w)
            offsets.append(moved.permute(0, 3, 4, 1, 2).reshape(b, -1, 4))
            stride = (size[0] // h, size[1] // w)
            anchors.append(_boxes.grid_anchors(self.cells[level], (h, w), stride))
        return Slid(logits, offsets, anchors)


def propose(
    slid: Slid,
    size: tuple[int, int],
    how: Proposing,
) -> tuple[Float[Tensor, "b p 4"], Float[Tensor, "b p"]]:
    """The best boxes of each image with their scores; suppressed ones fill up with score -1."""
    boxes, scores, levels = [], [], []
    for level, (score, move, anchor) in enumerate(zip(*slid, strict=True)):
        best, index = _boxes.highest(score, how.before)
        some = anchor[index]  # (b, m, 4)
        move = move.gather(1, index[..., None].expand(-1, -1, 4))
        boxes.append(_boxes.clip(_boxes.decode(move, some, WEIGHTS), size))
        scores.append(best.sigmoid())
        levels.append(torch.full_like(index, level))
    box, score, group = torch.cat(boxes, 1), torch.cat(scores, 1), torch.cat(levels, 1)
    flat = (box[..., 2:] - box[..., :2]).amin(-1) < 1e-3
    kept = _boxes.suppress(box, score.masked_fill(flat, 0.0), group, how.overlap)
    kept = kept.masked_fill(flat, -1.0)
    best, index = _boxes.highest(kept, how.after)
    return box.gather(1, index[..., None].expand(-1, -1, 4)), best


def losses(
    slid: Slid,
    truths: Truths,
    how: Proposing,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Loss of the scores and of the boxes, averaged over the sampled anchors of the batch."""
    score, move = torch.cat(slid.logits, 1), torch.cat(slid.offsets, 1)
    anchor = torch.cat(slid.anchors)
    labels, wanted, rows = [], [], []
    for i, truth in enumerate(truths):
        matches = _boxes.match(_boxes.iou(anchor, truth), how.low, how.high, best_of_each=True)
        positive, negative = _boxes.sample(matches, how.sampled, how.share)
        chosen = positive | negative
        labels.append((score[i][chosen], positive[chosen].to(score.dtype)))
        rows.append(move[i][positive])
        target = truth[matches[positive]] if len(truth) else truth.new_zeros(0, 4)
        wanted.append(_boxes.encode(target, anchor[positive], WEIGHTS))
    given = torch.cat([pair[0] for pair in labels])
    count = max(1, len(given))
    objectness = F.binary_cross_entropy_with_logits(
        given, torch.cat([pair[1] for pair in labels]), reduction="sum"
    )
    place = F.smooth_l1_loss(torch.cat(rows), torch.cat(wanted), beta=1 / 9, reduction="sum")
    return objectness / count, place / count
