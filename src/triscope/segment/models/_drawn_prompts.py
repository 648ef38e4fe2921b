"""Clicks, boxes and masks as maps beside the tokens, as in RITM, arXiv:2102.06583 section 3."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor

from triscope.segment.models._prompt_encoder import BOTTOM_RIGHT, TOP_LEFT, PromptEncoder

REACH = 1.0  # standard deviation of a click, in cells of the masks
MAPS = 4  # inside clicks, outside clicks, the box, the mask


class DrawnPrompts(PromptEncoder):
    """As ``PromptEncoder``; behind the dense map come the prompts, drawn.

    They are drawn at four times the side of the grid; cells of 4x4 lie in the channels.
    """

    def forward(
        self,
        points: Float[Tensor, "n p 2"] | None = None,
        labels: Shaped[Tensor, "n p"] | None = None,
        boxes: Float[Tensor, "n 4"] | None = None,
        masks: Float[Tensor, "n 1 m m"] | None = None,
        tokens: Float[Tensor, "n t c"] | None = None,
    ) -> tuple[Float[Tensor, "n k c"], Float[Tensor, "n f g g"]]:
        sparse, dense = super().forward(points, labels, boxes, masks, tokens)
        at, kinds = _with_corners(dense, points, labels, boxes)
        if masks is None:
            masks = dense.new_zeros(len(dense), 1, 4 * self.grid, 4 * self.grid)
        return sparse, torch.cat([dense, self.shown(at, kinds, masks)], dim=1)

    def shown(
        self,
        points: Float[Tensor, "n p 2"],
        labels: Shaped[Tensor, "n p"],
        masks: Float[Tensor, "n 1 m m"],
    ) -> Float[Tensor, "n f g g"]:
        """Where points, corners and masks lie (logits; 0 where there is none)."""
        maps = drawn(points, labels, self.image_size, 4 * self.grid)
        return F.pixel_unshuffle(torch.cat([maps, (masks / 2).tanh()], dim=1), 4)


def drawn(
    points: Float[Tensor, "n p 2"], labels: Shaped[Tensor, "n p"], side: int, cells: int
) -> Float[Tensor, "n 3 l l"]:
    """A bump around each click, inside and outside ones apart, and what a box covers of a cell."""
    size = side / cells
    at = (torch.arange(cells, device=points.device, dtype=points.dtype) + 0.5) * size - 0.5
    away = ((points[:, :, None] - at[:, None]) / (REACH * size)) ** 2  # (n, p, l, 2)
    across, down = (-away / 2).exp().unbind(dim=3)  # (n, p, l) each
    maps = [
        _loudest(across * (labels == kind)[:, :, None].to(points.dtype), down) for kind in (1, 0)
    ]
    low, high = (_corner(points, labels, kind) for kind in (2, 3))  # (n, 2) each
    covered = [_covered(at, size, low[:, k : k + 1], high[:, k : k + 1]) for k in (0, 1)]
    maps.append(covered[1][:, :, None] * covered[0][:, None, :])
    return torch.stack(maps, dim=1)


def _covered(
    at: Float[Tensor, "l"], size: float, low: Float[Tensor, "n 1"], high: Float[Tensor, "n 1"]
) -> Float[Tensor, "n l"]:
    """What share of each cell, ``size`` long and centred ``at``, lies between low and high."""
    start, end = torch.maximum(at - size / 2, low), torch.minimum(at + size / 2, high)
    return (end - start).relu() / size


def _loudest(
    across: Float[Tensor, "n p l"], down: Float[Tensor, "n p l"]
) -> Float[Tensor, "n l l"]:
    """The largest of the bumps of all points; 0 without any."""
    bumps = down[:, :, :, None] * across[:, :, None, :]  # (n, p, l, l)
    none = bumps.new_zeros(bumps.shape[0], 1, bumps.shape[2], bumps.shape[3])
    return torch.cat([bumps, none], dim=1).amax(dim=1)


def _corner(
    points: Float[Tensor, "n p 2"], labels: Shaped[Tensor, "n p"], kind: int
) -> Float[Tensor, "n 2"]:
    """The corner of that label; the origin, which covers nothing, where there is no box."""
    return (points * (labels == kind)[:, :, None].to(points.dtype)).sum(dim=1)


def _with_corners(
    like: Tensor, points: Tensor | None, labels: Tensor | None, boxes: Tensor | None
) -> tuple[Float[Tensor, "n p 2"], Float[Tensor, "n p"]]:
    """Points and labels with the corners of the boxes among them; there may be none."""
    coords, marks = [like.new_zeros(len(like), 0, 2)], [like.new_zeros(len(like), 0)]
    if points is not None and labels is not None:
        coords.append(points.to(like.dtype))
        marks.append(labels.to(like.dtype))
    if boxes is not None:
        coords.append(boxes.reshape(-1, 2, 2).to(like.dtype))
        marks.append(like.new_tensor([[TOP_LEFT, BOTTOM_RIGHT]]).expand(len(boxes), 2))
    return torch.cat(coords, dim=1), torch.cat(marks, dim=1)
