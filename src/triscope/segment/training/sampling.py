"""Prompts drawn from true masks, as published (arXiv:2304.02643 appendix A, training algorithm).

Masks are shares of cells (n, l, l); prompts are pixels of the network's square.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from triscope.segment.evaluate.clicks import centre_of

BOX_NOISE_SHARE, BOX_NOISE_PX = 0.1, 20.0  # standard deviation and limit of each coordinate


def random_points(
    shares: Float[Tensor, "n l l"], side: int, centred: float = 0.0
) -> Float[Tensor, "n 1 2"]:
    """A point of each map, more likely where the share is larger; anywhere in an empty map.

    As many as the share ``centred`` lie in the cell that is farthest from the outside, where people
    click.
    """
    n, cells = shares.shape[0], shares.shape[-1]
    weights = shares.flatten(1)
    weights = torch.where(weights.sum(dim=1, keepdim=True) > 0, weights, torch.ones_like(weights))
    index = torch.multinomial(weights, 1)[:, 0]
    if centred:
        for i in (torch.rand(n) < centred).nonzero()[:, 0].tolist():
            inner = shares[i].cpu().numpy() >= 0.5
            if inner.any():
                x, y = centre_of(inner)
                index[i] = int(y) * cells + int(x)
    inside = torch.rand(n, 2, device=shares.device)
    cell = torch.stack([index % cells, index // cells], dim=1)
    return (((cell + inside) * (side / cells)) - 0.5).clamp(0, side - 1)[:, None]


def noisy_boxes(shares: Float[Tensor, "n l l"], side: int) -> Float[Tensor, "n 4"]:
    """The box of each mask, every coordinate moved by noise of a tenth of its side."""
    boxes = tight_boxes(shares) * (side / shares.shape[-1])
    size = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    noise = torch.randn_like(boxes) * BOX_NOISE_SHARE * size
    noise = noise.clamp(-BOX_NOISE_PX, BOX_NOISE_PX)
    moved = (boxes + noise).clamp(0, side)
    low, high = torch.minimum(moved[:, :2], moved[:, 2:]), torch.maximum(moved[:, :2], moved[:, 2:])
    return torch.cat([low, torch.maximum(high, low + 1)], dim=1)


def tight_boxes(shares: Float[Tensor, "n l l"]) -> Float[Tensor, "n 4"]:
    """Boxes xyxy in cells, end-exclusive; a side cell that is covered in part counts in part."""
    columns, rows = shares.amax(dim=1), shares.amax(dim=2)  # (n, l) each
    x0, x1 = _span(columns)
    y0, y1 = _span(rows)
    return torch.stack([x0, y0, x1, y1], dim=1)


def _span(line: Float[Tensor, "n l"]) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
    """First and last place above 0, cut by what is not covered there."""
    length = line.shape[1]
    index = torch.arange(length, device=line.device)
    some = line > 0
    first = torch.where(some, index, length - 1).amin(dim=1)
    last = torch.where(some, index, 0).amax(dim=1)
    start = first + 1 - line.gather(1, first[:, None])[:, 0]
    end = last + line.gather(1, last[:, None])[:, 0]
    return start, torch.maximum(end, start + 0.25)


def correcting_points(
    logits: Float[Tensor, "n l l"], shares: Float[Tensor, "n l l"], side: int, centred: float = 0.0
) -> tuple[Float[Tensor, "n 1 2"], Float[Tensor, "n 1"]]:
    """A point of each mask's error region, labelled 1 where something was missed, else 0.

    Where nothing is wrong, a point of the mask itself.
    """
    found, truth = logits > 0, shares >= 0.5
    wrong = (found != truth).to(shares.dtype)
    none = ~wrong.flatten(1).any(dim=1)
    wrong = torch.where(none[:, None, None], shares, wrong)
    points = random_points(wrong, side, centred)
    cell = (points[:, 0] * (shares.shape[-1] / side)).long().clamp(0, shares.shape[-1] - 1)
    label = truth[torch.arange(len(truth)), cell[:, 1], cell[:, 0]]
    return points, label.to(shares.dtype)[:, None]
