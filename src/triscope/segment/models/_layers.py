"""Layers that the encoders and the decoder of Segment Anything share."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class LayerNorm2d(nn.Module):
    """Layer norm over the channels of a map (b, c, h, w)."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        last = maps.permute(0, 2, 3, 1)  # (b, h, w, c)
        normed = F.layer_norm(last, self.weight.shape, self.weight, self.bias, self.eps)
        return normed.permute(0, 3, 1, 2)


class MLP(nn.Module):
    """Linear layers with ReLU between them; the heads of the mask decoder."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    def forward(self, x: Float[Tensor, "*b c"]) -> Float[Tensor, "*b d"]:
        *hidden, last = self.layers
        for layer in hidden:
            x = F.relu(layer(x))
        return last(x)


def neck(*, width: int, out: int) -> nn.Sequential:
    """From encoder width to embedding width: 1x1, norm, 3x3, norm (appendix A of the paper)."""
    return nn.Sequential(
        nn.Conv2d(width, out, kernel_size=1, bias=False),
        LayerNorm2d(out),
        nn.Conv2d(out, out, kernel_size=3, padding=1, bias=False),
        LayerNorm2d(out),
    )


def to_windows(
    maps: Float[Tensor, "b h w c"], size: int
) -> tuple[Float[Tensor, "n size size c"], tuple[int, int]]:
    """Cut into windows after padding right and bottom with zeros; also the padded (h, w)."""
    b, h, w, c = maps.shape
    tall, wide = -(-h // size) * size, -(-w // size) * size
    padded = F.pad(maps, (0, 0, 0, wide - w, 0, tall - h))
    tiles = padded.reshape(b, tall // size, size, wide // size, size, c)
    return tiles.permute(0, 1, 3, 2, 4, 5).reshape(-1, size, size, c), (tall, wide)


def from_windows(
    windows: Float[Tensor, "n size size c"], padded_hw: tuple[int, int], hw: tuple[int, int]
) -> Float[Tensor, "b h w c"]:
    """The inverse of ``to_windows``: put together, then crop the padding."""
    size, c = windows.shape[1], windows.shape[3]
    rows, columns = padded_hw[0] // size, padded_hw[1] // size
    tiles = windows.reshape(-1, rows, columns, size, size, c).permute(0, 1, 3, 2, 4, 5)
    return tiles.reshape(-1, rows * size, columns * size, c)[:, : hw[0], : hw[1]]
