"""Video Swin Transformer: attention in windows of space and time that shift (arXiv:2106.13230).

Liu, Ning, Cao, Wei, Zhang, Lin, Hu: Video Swin Transformer, CVPR 2022.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.kernel.catalogue import model, published
from triscope.motion.models._clip_model import ClipModel, ClipSettings
from triscope.motion.models._loading import Layout, load, read_weights
from triscope.motion.models._resnet3d import one_clip

Size = tuple[int, int, int]
Tokens = Float[Tensor, "b d h w c"]


@lru_cache(maxsize=32)
def relative_index(window: Size) -> Int[Tensor, "n n"]:
    """For each pair of places of a window, the row of the bias table."""
    axes = torch.meshgrid(*(torch.arange(size) for size in window), indexing="ij")
    places = torch.stack(axes).flatten(1)  # (3, n)
    apart = places[:, :, None] - places[:, None, :]  # (3, n, n)
    rows = torch.zeros_like(apart[0])
    for axis, size in zip(apart, window, strict=True):
        rows = rows * (2 * size - 1) + axis + size - 1
    return rows


@lru_cache(maxsize=32)
def shift_mask(grid: Size, window: Size, shift: Size) -> Float[Tensor, "m n n"]:
    """-100 between places of a shifted window that are not neighbours in the clip, else 0."""
    regions = torch.zeros(1, *grid, 1)
    number = 0
    cuts = [
        (slice(-w), slice(-w, -s), slice(-s, None)) if s else (slice(None),)
        for w, s in zip(window, shift, strict=True)
    ]
    for d in cuts[0]:
        for h in cuts[1]:
            for w in cuts[2]:
                regions[:, d, h, w] = number
                number += 1
    flat = to_windows(regions, window).squeeze(-1)  # (m, n)
    apart = flat[:, None, :] - flat[:, :, None]
    return torch.where(apart == 0, 0.0, -100.0)


def to_windows(x: Tokens, window: Size) -> Float[Tensor, "m n c"]:
    """The windows of a grid whose sides they divide, one behind the other."""
    b, d, h, w, c = x.shape
    i, j, k = window
    x = x.reshape(b, d // i, i, h // j, j, w // k, k, c)
    return x.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(-1, i * j * k, c)


def from_windows(x: Float[Tensor, "m n c"], window: Size, grid: Size) -> Tokens:
    """The inverse of ``to_windows``."""
    (d, h, w), (i, j, k) = grid, window
    x = x.reshape(-1, d // i, h // j, w // k, i, j, k, x.shape[-1])
    return x.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(-1, d, h, w, x.shape[-1])


class Attention(nn.Module):
    """Attention inside a window, with a bias by relative position."""

    def __init__(self, width: int, heads: int, window: Size) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        rows = (2 * window[0] - 1) * (2 * window[1] - 1) * (2 * window[2] - 1)
        self.relative_position_bias_table = nn.Parameter(torch.zeros(rows, heads))
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def forward(self, x: Float[Tensor, "m n c"], mask: Tensor | None) -> Float[Tensor, "m n c"]:
        m, n, c = x.shape
        q, k, v = self.qkv(x).reshape(m, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = (q * (c // self.heads) ** -0.5) @ k.transpose(-2, -1)  # (m, heads, n, n)
        # A window cut short takes the first rows, as published: right where time is cut.
        index = relative_index(self.window)[:n, :n].reshape(-1).to(x.device)
        bias = self.relative_position_bias_table[index].reshape(n, n, -1).permute(2, 0, 1)
        scores = scores + bias
        if mask is not None:
            count = mask.shape[0]
            scores = scores.reshape(m // count, count, self.heads, n, n) + mask[:, None]
            scores = scores.reshape(m, self.heads, n, n)
        answer = scores.softmax(-1) @ v
        return self.proj(answer.transpose(1, 2).reshape(m, n, c))


class Mlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Float[Tensor, "... c"]) -> Float[Tensor, "... c"]:
        return self.fc2(F.gelu(self.fc1(x)))


class DropPath(nn.Module):
    """In training a sample's branch is left out with probability ``share``."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        if not self.training or self.share == 0:
            return x
        kept = torch.rand(x.shape[0], *[1] * (x.ndim - 1), device=x.device) >= self.share
        return x * kept / (1 - self.share)


class Block(nn.Module):
    """Windowed attention and MLP, each behind a LayerNorm and added to its input."""

    def __init__(
        self, width: int, heads: int, window: Size, shifted: bool, drop_path: float
    ) -> None:
        super().__init__()
        self.window, self.shifted = window, shifted
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention(width, heads, window)
        self.mlp = Mlp(width)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tokens) -> Tokens:
        x = x + self.drop_path(self._attend(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))

    def _attend(self, x: Tokens) -> Tokens:
        sides = x.shape[1:4]
        window, shift = fitting(sides, self.window, self.shifted)
        grid = tuple(-(-s // w) * w for s, w in zip(sides, window, strict=True))
        pads = [p for s, g in zip(reversed(sides), reversed(grid), strict=True) for p in (0, g - s)]
        x = F.pad(x, (0, 0, *pads))
        mask = None
        if any(shift):
            x = torch.roll(x, [-s for s in shift], (1, 2, 3))
            mask = shift_mask(tuple(grid), window, shift).to(x.device)
        x = from_windows(self.attn(to_windows(x, window), mask), window, grid)  # type: ignore[arg-type]
        if any(shift):
            x = torch.roll(x, list(shift), (1, 2, 3))
        return x[:, : sides[0], : sides[1], : sides[2]]


def fitting(sides: Sequence[int], window: Size, shifted: bool) -> tuple[Size, Size]:
    """Window and shift clipped to a map that is not larger; there nothing is shifted."""
    fits = tuple(min(s, w) for s, w in zip(sides, window, strict=True))
    shift = tuple(w // 2 if shifted and s > w else 0 for s, w in zip(sides, window, strict=True))
    return fits, shift  # type: ignore[return-value]


class Merging(nn.Module):
    """Each 2 x 2 of places becomes one of twice the width; time keeps its length."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tokens) -> Float[Tensor, "b d i j e"]:
        x = F.pad(x, (0, 0, 0, x.shape[3] % 2, 0, x.shape[2] % 2))
        corners = [x[:, :, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        return self.reduction(self.norm(torch.cat(corners, dim=-1)))


class Layer(nn.Module):
    """Blocks of one width, every second one shifted, and the merging to the next."""

    def __init__(self, blocks: Sequence[nn.Module], merging: nn.Module | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = merging

    def forward(self, x: Tokens) -> Float[Tensor, "b d i j e"]:
        for block in self.blocks:
            x = block(x)
        return x if self.downsample is None else self.downsample(x)


class PatchEmbed(nn.Module):
    """Patches of 2 x 4 x 4 to vectors; borders are filled with zeros."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv3d(channels, width, (2, 4, 4), (2, 4, 4))
        self.norm = nn.LayerNorm(width)

    def forward(self, clips: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b d i j e"]:
        t, h, w = clips.shape[2:]
        clips = F.pad(clips, (0, -w % 4, 0, -h % 4, 0, -t % 2))
        return self.norm(self.proj(clips).permute(0, 2, 3, 4, 1))


class VideoSwin(nn.Module):
    """Patches, four layers, LayerNorm, the mean over time and space, the classifier."""

    def __init__(
        self,
        *,
        width: int = 96,
        depths: Sequence[int] = (2, 2, 6, 2),
        heads: Sequence[int] = (3, 6, 12, 24),
        window: Size = (8, 7, 7),
        classes: int = 400,
        channels: int = 3,
        dropout: float = 0.5,
        drop_path: float = 0.1,
    ) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(channels, width)
        shares = torch.linspace(0, drop_path, sum(depths), device="cpu").tolist()
        self.layers = nn.ModuleList()
        for s, count in enumerate(depths):
            wide = width * 2**s
            blocks = [
                Block(wide, heads[s], window, i % 2 == 1, shares[sum(depths[:s]) + i])
                for i in range(count)
            ]
            self.layers.append(Layer(blocks, Merging(wide) if s < len(depths) - 1 else None))
        self.norm = nn.LayerNorm(width * 2 ** (len(depths) - 1))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width * 2 ** (len(depths) - 1), classes)

    def forward(
        self, clips: Float[Tensor, "b c t h w"] | list[Float[Tensor, "b c t h w"]]
    ) -> Float[Tensor, "b k"]:
        x = self.patch_embed(one_clip(clips))
        for layer in self.layers:
            x = layer(x)
        return self.head(self.dropout(self.norm(x).mean((1, 2, 3))))


# name: width, depths, heads, window, drop path of the published training
VARIANTS: Mapping[str, tuple[int, tuple[int, ...], tuple[int, ...], Size, float]] = {
    "video_swin_t": (96, (2, 2, 6, 2), (3, 6, 12, 24), (8, 7, 7), 0.1),
    "video_swin_s": (96, (2, 2, 18, 2), (3, 6, 12, 24), (8, 7, 7), 0.1),
    "video_swin_b": (128, (2, 2, 18, 2), (4, 8, 16, 32), (8, 7, 7), 0.3),
    "video_swin_b_sthv2": (128, (2, 2, 18, 2), (4, 8, 16, 32), (16, 7, 7), 0.4),
    "video_swin_l": (192, (2, 2, 18, 2), (6, 12, 24, 48), (8, 7, 7), 0.4),
}


def network(name: str, *, classes: int = 400, channels: int = 3, **changes: Any) -> VideoSwin:
    """The network of that name."""
    width, depths, heads, window, drop_path = VARIANTS[name]
    values = {
        "width": width,
        "depths": depths,
        "heads": heads,
        "window": window,
        "drop_path": drop_path,
        **changes,
    }
    return VideoSwin(classes=classes, channels=channels, **values)


@dataclass(frozen=True)
class Settings(ClipSettings):
    """The published sizes."""

    variant: Literal[
        "video_swin_t", "video_swin_s", "video_swin_b", "video_swin_l", "video_swin_b_sthv2"
    ] = "video_swin_t"  # of the published networks
    sampling: Literal["segments", "dense"] = "dense"  # frames in a row
    frames: int = 16  # frames of a clip
    size: int = 224  # side of the square that the network sees, in pixels


@model("video_swin", answers="Moments")
class VideoSwinModel(ClipModel):
    """Attention in windows of space and time that shift."""

    def __init__(self, settings: Settings = Settings()) -> None:
        super().__init__(settings)

    def build(self, classes: int) -> nn.Module:
        s = self.settings
        return network(s.variant, classes=classes, dropout=s.dropout)

    def published(self) -> str:
        return str(self.settings.variant)


def inflated(image_weights: Mapping[str, Tensor], window: Size = (8, 7, 7)) -> dict[str, Tensor]:
    """Weights of a Swin for images as those of the backbone here (section 3.3).

    Patches are repeated over their two frames and halved; bias tables are repeated over time,
    resized bicubically where their window differs. The classifier stays out.
    """
    weights: dict[str, Tensor] = {}
    for key, value in image_weights.items():
        if key.endswith(("relative_position_index", "attn_mask")) or key.startswith("head."):
            continue
        if key == "patch_embed.proj.weight":
            value = value[:, :, None].repeat(1, 1, 2, 1, 1) / 2
        elif key.endswith("relative_position_bias_table"):
            value = _table(value, window)
        weights[key] = value
    return weights


def _table(table: Float[Tensor, "r h"], window: Size) -> Float[Tensor, "s h"]:
    side, target = round(table.shape[0] ** 0.5), (2 * window[1] - 1, 2 * window[2] - 1)
    if (side, side) != target:
        square = table.T.reshape(1, -1, side, side)
        square = F.interpolate(square, target, mode="bicubic")
        table = square.flatten(2)[0].T
    return table.repeat(2 * window[0] - 1, 1)


LAYOUTS = (
    Layout(
        "Video-Swin-Transformer",
        r"^backbone\.",
        (
            (r"^backbone\.norm3\.", "norm."),
            (r"^backbone\.", ""),
            (r"^cls_head\.fc_cls\.", "head."),
        ),
    ),
    Layout(
        "torchvision",
        r"^features\.0\.",
        (
            (r"^features\.(\d)\.(reduction|norm)\.", lambda m: f"F{m[1]}.downsample.{m[2]}."),
            (r"^features\.(\d)\.(\d+)\.", lambda m: f"layers.{int(m[1]) // 2}.blocks.{m[2]}."),
            (r"^F(\d)\.", lambda m: f"layers.{int(m[1]) // 2}."),
            (r"\.mlp\.0\.", ".mlp.fc1."),
            (r"\.mlp\.3\.", ".mlp.fc2."),
        ),
    ),
)


@published(
    "video_swin_t", "video_swin_s", "video_swin_b", "video_swin_l", "video_swin_b_sthv2",
    "swin3d_t", "swin3d_s", "swin3d_b",
)  # fmt: skip
def build(name: str, state_dict: Mapping[str, Any]) -> nn.Module:
    """Clips (b, 3, t, h, w) to logits (b, k); keys of the authors, mmaction2 or torchvision."""
    weights = read_weights(state_dict, LAYOUTS, ignore=r"relative_position_index$")
    own = name.replace("swin3d", "video_swin")
    return load(name, lambda: network(own, classes=weights.rows("head.weight", 400)), weights)
