"""TinyViT, arXiv:2207.10666, as the image encoder of MobileSAM, arXiv:2306.14289.

A convolutional stage, then three stages of windowed attention with a depthwise convolution
between attention and MLP. Module names are the published keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from triscope.segment.models._layers import from_windows, neck, to_windows


@dataclass(frozen=True)
class Stage:
    """One stage: its width and depth, heads and window (0: convolutions), and the merge behind."""

    width: int
    depth: int
    heads: int = 0
    window: int = 0
    stride: int = 0  # of the merge into the next stage; 0 for the last stage


class TinyViT(nn.Module):
    """Images (b, 3, s, s), normalised and padded, to embeddings (b, out, s/16, s/16)."""

    def __init__(self, *, stages: tuple[Stage, ...], out: int = 256, classes: int = 0) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(stages[0].width)
        following = [stage.width for stage in stages[1:]] + [0]
        self.layers = nn.ModuleList(
            (AttentionStage if stage.window else ConvStage)(stage, following=width)
            for stage, width in zip(stages, following, strict=True)
        )
        if classes:  # the published files carry the unused classifier
            self.norm_head = nn.LayerNorm(stages[-1].width)
            self.head = nn.Linear(stages[-1].width, classes)
        self.neck = neck(width=stages[-1].width, out=out)

    def forward(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b d g g"]:
        x = self.patch_embed(images)  # (b, c, s/4, s/4)
        for layer in self.layers:
            x = layer(x)
        return self.neck(x)


class ConvBN(nn.Sequential):
    """Convolution without bias and batch norm."""

    def __init__(
        self, width: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        conv = nn.Conv2d(width, out, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.add_module("c", conv)
        self.add_module("bn", nn.BatchNorm2d(out))


class PatchEmbed(nn.Module):
    """Two strided convolutions: a quarter of the side."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(
            ConvBN(3, width // 2, 3, 2), nn.GELU(), ConvBN(width // 2, width, 3, 2)
        )

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c g f"]:
        return self.seq(images)


class MBConv(nn.Module):
    """Inverted bottleneck: widen by four, depthwise 3x3, narrow, add."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = ConvBN(width, 4 * width)
        self.conv2 = ConvBN(4 * width, 4 * width, 3, groups=4 * width)
        self.conv3 = ConvBN(4 * width, width)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        wide = F.gelu(self.conv2(F.gelu(self.conv1(x))))
        return F.gelu(x + self.conv3(wide))


class PatchMerging(nn.Module):
    """To the next stage's width, with a stride."""

    def __init__(self, width: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvBN(width, out)
        self.conv2 = ConvBN(out, out, 3, stride, groups=out)
        self.conv3 = ConvBN(out, out)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d g f"]:
        return self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x)))))


class ConvStage(nn.Module):
    """Inverted bottlenecks and a merge."""

    def __init__(self, stage: Stage, *, following: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(MBConv(stage.width) for _ in range(stage.depth))
        self.downsample = PatchMerging(stage.width, following, stage.stride)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d g f"]:
        for block in self.blocks:
            x = block(x)
        return self.downsample(x)


class AttentionStage(nn.Module):
    """Attention blocks and, but for the last stage, a merge."""

    def __init__(self, stage: Stage, *, following: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            TinyBlock(width=stage.width, heads=stage.heads, window=stage.window)
            for _ in range(stage.depth)
        )
        if stage.stride:
            self.downsample = PatchMerging(stage.width, following, stage.stride)
        self.merges = bool(stage.stride)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d g f"]:
        for block in self.blocks:
            x = block(x)
        return self.downsample(x) if self.merges else x


class TinyBlock(nn.Module):
    """Windowed attention, depthwise convolution, MLP."""

    def __init__(self, *, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.attn = WindowAttention(width=width, heads=heads, window=window)
        self.local_conv = ConvBN(width, width, 3, groups=width)
        self.mlp = NormedMLP(width=width, hidden=4 * width)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        tokens = _as_tokens(x)
        tokens = _as_tokens(self.local_conv(_as_map(tokens + self._attend(x), x)))
        return _as_map(tokens + self.mlp(tokens), x)

    def _attend(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b t c"]:
        # Here, unlike in the ViT, the padding comes before the norm inside the attention.
        windows, padded = to_windows(x.permute(0, 2, 3, 1), self.window)
        n, side, _, c = windows.shape
        attended = self.attn(windows.reshape(n, side * side, c)).reshape(n, side, side, c)
        return from_windows(attended, padded, (x.shape[2], x.shape[3])).flatten(1, 2)


def _as_tokens(maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b t c"]:
    """Of rank three: OpenVINO keeps maps channels last and would turn (b, h, w, c) once more."""
    return maps.permute(0, 2, 3, 1).flatten(1, 2)


def _as_map(
    tokens: Float[Tensor, "b t c"], like: Float[Tensor, "b c h w"]
) -> Float[Tensor, "b c h w"]:
    """Tokens as the map that they were."""
    b, c, h, w = like.shape
    return tokens.reshape(b, h, w, c).permute(0, 3, 1, 2)


class WindowAttention(nn.Module):
    """Attention inside a window with a learned bias for each distance (|dy|, |dx|)."""

    index: Tensor

    def __init__(self, *, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        index = distance_index(window)
        self.attention_biases = nn.Parameter(torch.zeros(heads, int(index.max()) + 1))
        self.register_buffer("index", torch.from_numpy(index), persistent=False)

    def forward(self, x: Float[Tensor, "n t c"]) -> Float[Tensor, "n t c"]:
        n, t, c = x.shape
        qkv = self.qkv(self.norm(x)).reshape(n, t, self.heads, 3, c // self.heads)
        q, k, v = qkv.permute(3, 0, 2, 1, 4).unbind(0)  # (n, heads, t, c/heads) each
        bias = self.attention_biases[:, self.index]  # (heads, t, t)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None])
        return self.proj(attended.transpose(1, 2).reshape(n, t, c))


def distance_index(window: int) -> NDArray[np.int64]:
    """Number of each pair's (|dy|, |dx|), counted in the order of first appearance, (t, t)."""
    cells = list(product(range(window), range(window)))
    numbers: dict[tuple[int, int], int] = {}
    flat = [
        numbers.setdefault((abs(a[0] - b[0]), abs(a[1] - b[1])), len(numbers))
        for a, b in product(cells, cells)
    ]
    return np.array(flat, dtype=np.int64).reshape(len(cells), len(cells))


class NormedMLP(nn.Module):
    """Norm and two linear layers with GELU."""

    def __init__(self, *, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Float[Tensor, "*b c"]) -> Float[Tensor, "*b c"]:
        return self.fc2(F.gelu(self.fc1(self.norm(x))))
