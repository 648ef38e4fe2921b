"""Clicks and boxes as maps beside the image embedding, as in RITM, arXiv:2102.06583 section 3.

The published networks tell the decoder by tokens alone where a prompt lies, and learn from a
billion masks what that means. ``sam_nano`` learns on a CPU, so it is also shown where.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from triscope.segment.models._layers import LayerNorm2d

REACH = 1 / 64  # standard deviation of a click, as a share of the image's side
MAPS = 3  # inside clicks, outside clicks, the box


class ClickMaps(nn.Module):
    """Points with labels (2 and 3 are corners of a box) to a map (n, width, g, g)."""

    def __init__(self, *, width: int, hidden: int = 16) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(MAPS, hidden, kernel_size=2, stride=2),
            LayerNorm2d(hidden),
            nn.GELU(),
            nn.Conv2d(hidden, 2 * hidden, kernel_size=2, stride=2),
            LayerNorm2d(2 * hidden),
            nn.GELU(),
            nn.Conv2d(2 * hidden, width, kernel_size=1),
        )

    def forward(
        self, points: Float[Tensor, "n p 2"], labels: Shaped[Tensor, "n p"], side: int, grid: int
    ) -> Float[Tensor, "n c g g"]:
        """``points`` are pixels of the square of ``side`` pixels, ``grid`` cells of 16 pixels."""
        return self.layers(drawn(points, labels, side, 4 * grid))


def drawn(
    points: Float[Tensor, "n p 2"], labels: Shaped[Tensor, "n p"], side: int, cells: int
) -> Float[Tensor, "n 3 l l"]:
    """A bump around each click, inside and outside ones apart, and what a box covers of a cell."""
    size = side / cells
    at = (torch.arange(cells, device=points.device, dtype=points.dtype) + 0.5) * size - 0.5
    away = ((points[:, :, None] - at[:, None]) / (REACH * side)) ** 2  # (n, p, l, 2)
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
