"""The image encoder of ``sam_nano``: convolutions, two global attentions, details kept.

Convolutions know from the start that neighbours belong together, so they learn from thousands of
images what attention learns from millions. Three resolutions are joined from the coarsest to the
finest (arXiv:1612.03144), and all of them are handed to the decoder.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from triscope.segment.models._tiny_vit import ConvBN, NormedMLP


class NanoEncoder(nn.Module):
    """Images (b, 3, s, s), normalised and padded, to three maps folded into one embedding.

    Of s/16 come ``out`` channels, of s/8 ``widths[1] // 2`` and of s/4 ``widths[0] // 2``; cells of
    2x2 and 4x4 of the finer ones lie in the channels of one cell (``unfolded`` takes them apart).
    """

    def __init__(
        self, *, widths: tuple[int, int, int], depths: tuple[int, int, int], heads: int, out: int
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvBN(3, widths[0] // 2, 3, 2), nn.ReLU())
        self.stages = nn.ModuleList()
        before = widths[0] // 2
        for width, depth in zip(widths, depths, strict=True):
            blocks = [ResidualBlock(width) for _ in range(depth)]
            self.stages.append(nn.Sequential(ConvBN(before, width, 3, 2), nn.ReLU(), *blocks))
            before = width
        self.far = nn.Sequential(*(GlobalBlock(widths[2], heads) for _ in range(2)))
        self.middle_width, self.fine_width = widths[1] // 2, widths[0] // 2
        self.neck = ConvBN(widths[2], out)
        self.middle, self.to_middle = (
            ConvBN(widths[1], self.middle_width),
            nn.Conv2d(out, self.middle_width, 1),
        )
        self.fine, self.to_fine = (
            ConvBN(widths[0], self.fine_width),
            nn.Conv2d(self.middle_width, self.fine_width, 1),
        )

    def forward(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b d g g"]:
        x, seen = self.stem(images.contiguous(memory_format=torch.channels_last)), []
        for stage in self.stages:
            x = stage(x)
            seen.append(x)
        coarse = self.neck(self.far(x))
        middle = F.relu(self.middle(seen[1]) + twice(self.to_middle(coarse)))
        fine = self.fine(seen[0]) + twice(self.to_fine(middle))
        return torch.cat([coarse, F.pixel_unshuffle(middle, 2), F.pixel_unshuffle(fine, 4)], dim=1)


def unfolded(
    embedding: Float[Tensor, "b d g g"], widths: tuple[int, int, int]
) -> tuple[Float[Tensor, "b c g g"], Float[Tensor, "b m h h"], Float[Tensor, "b f l l"]]:
    """The three maps of an embedding: of the grid, of twice and of four times its side."""
    ends = (widths[0], widths[0] + 4 * widths[1])
    middle, fine = embedding[:, ends[0] : ends[1]], embedding[:, ends[1] :]
    return embedding[:, : ends[0]], F.pixel_shuffle(middle, 2), F.pixel_shuffle(fine, 4)


def twice(maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c g f"]:
    """Twice the side, each cell four times."""
    return F.interpolate(maps, scale_factor=2.0, mode="nearest")


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, added to what came in (arXiv:1512.03385)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = ConvBN(width, width, 3), ConvBN(width, width, 3)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return F.relu(x + self.conv2(F.relu(self.conv1(x))))


class GlobalBlock(nn.Module):
    """Attention between all cells, and an MLP; where a cell lies, the convolutions have told."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = NormedMLP(width=width, hidden=2 * width)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        b, c, h, w = x.shape
        tokens = x.flatten(2).transpose(1, 2)  # (b, h*w, c)
        qkv = self.qkv(self.norm(tokens)).reshape(b, h * w, 3, self.heads, c // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (b, heads, h*w, c/heads) each
        found = F.scaled_dot_product_attention(q, k, v)
        tokens = tokens + self.proj(found.transpose(1, 2).reshape(b, h * w, c))
        return (tokens + self.mlp(tokens)).transpose(1, 2).reshape(b, c, h, w)
