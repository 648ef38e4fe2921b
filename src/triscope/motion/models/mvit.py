"""MViTv2: attention that pools, from fine and thin to coarse and wide, arXiv:2112.01526.

Li, Wu, Fan, Mangalam, Xiong, Malik, Feichtenhofer: MViTv2: Improved Multiscale Vision Transformers
for Classification and Detection, CVPR 2022.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.kernel.catalogue import model, published
from triscope.motion.models._clip_model import ClipModel, ClipSettings
from triscope.motion.models._loading import Layout, Weights, load, read_weights
from triscope.motion.models._resnet3d import one_clip
from triscope.motion.models.video_swin import DropPath, Mlp

Size = tuple[int, int, int]
Heads = Float[Tensor, "b m n c"]  # m heads, n tokens: the class token first


@dataclass(frozen=True)
class Shape:
    """Depth, width and where both width and heads double (and space halves)."""

    depth: int
    doublings: tuple[int, ...]
    frames: int
    size: int
    width: int = 96
    heads: int = 1
    drop_path: float = 0.2


VARIANTS: Mapping[str, Shape] = {
    "mvit_v2_s": Shape(16, (1, 3, 14), 16, 224),
    "mvit_v2_b": Shape(24, (2, 5, 21), 32, 224, drop_path=0.3),
    "mvit_v2_l": Shape(48, (2, 8, 44), 40, 312, width=144, heads=2, drop_path=0.75),
}


class Pool(nn.Module):
    """A depthwise 3 x 3 x 3 convolution over the places of one head; the class token passes."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(
            width, width, 3, (1, stride, stride), padding=1, groups=width, bias=False
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Heads, size: Size) -> tuple[Float[Tensor, "b m k c"], Size]:
        b, m, _, c = x.shape
        token, places = x[:, :, :1], x[:, :, 1:]
        grid = places.reshape(b * m, *size, c).permute(0, 4, 1, 2, 3)
        grid = self.conv(grid)
        t, h, w = grid.shape[2:]
        places = grid.reshape(b, m, c, -1).transpose(2, 3)
        return self.norm(torch.cat((token, places), dim=2)), (t, h, w)


def apart(q: int, k: int) -> Int[Tensor, "q k"]:
    """The row of the table for each pair of a query's and a key's place along one axis."""
    far = torch.arange(q)[:, None] * max(k / q, 1.0) - torch.arange(k)[None] * max(q / k, 1.0)
    return (far + (k - 1) * max(q / k, 1.0)).long()


class Attention(nn.Module):
    """Pooling attention with decomposed relative positions and residual pooling (section 3)."""

    def __init__(
        self, width: int, out: int, heads: int, *, q_stride: int, kv_stride: int, size: Size
    ) -> None:
        super().__init__()
        self.heads, head = heads, out // heads
        self.qkv = nn.Linear(width, 3 * out)
        self.proj = nn.Linear(out, out)
        self.pool_q = Pool(head, q_stride)
        self.pool_k = Pool(head, kv_stride)
        self.pool_v = Pool(head, kv_stride)
        space = 2 * max(size[1] // q_stride, size[1] // kv_stride) - 1
        self.rel_pos_h = nn.Parameter(torch.zeros(space, head))
        self.rel_pos_w = nn.Parameter(torch.zeros(space, head))
        self.rel_pos_t = nn.Parameter(torch.zeros(2 * size[0] - 1, head))
        for table in (self.rel_pos_h, self.rel_pos_w, self.rel_pos_t):
            nn.init.trunc_normal_(table, std=0.02)

    def forward(self, x: Float[Tensor, "b n c"], size: Size) -> tuple[Float[Tensor, "b k d"], Size]:
        b, n, _ = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        (q, q_size), (k, k_size), (v, _) = (
            self.pool_q(q, size),
            self.pool_k(k, size),
            self.pool_v(v, size),
        )
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        scores = scores + F.pad(self._positions(q, q_size, k_size), (1, 0, 1, 0))
        answer = scores.softmax(-1) @ v
        # residual pooling: the query is added, but not to the class token
        answer = answer + F.pad(q[:, :, 1:], (0, 0, 1, 0))
        return self.proj(answer.transpose(1, 2).flatten(2)), q_size

    def _positions(self, q: Heads, q_size: Size, k_size: Size) -> Float[Tensor, "b m i j"]:
        places = q[:, :, 1:].reshape(*q.shape[:2], *q_size, -1)  # (b, m, t, h, w, c)
        t, h, w = (
            _rows(table, qs, ks).to(q.dtype)
            for table, qs, ks in zip(
                (self.rel_pos_t, self.rel_pos_h, self.rel_pos_w), q_size, k_size, strict=True
            )
        )
        bias = (
            torch.einsum("bmthwc,hkc->bmthwk", places, h)[..., None, :, None]
            + torch.einsum("bmthwc,wkc->bmthwk", places, w)[..., None, None, :]
            + torch.einsum("bmthwc,tkc->bmthwk", places, t)[..., :, None, None]
        )
        return bias.flatten(5).flatten(2, 4)


def _rows(table: Float[Tensor, "r c"], q: int, k: int) -> Float[Tensor, "q k c"]:
    """The table, interpolated where the input has another size, at each pair of places."""
    rows = 2 * max(q, k) - 1
    if table.shape[0] != rows:
        table = F.interpolate(table.T[None], rows, mode="linear")[0].T
    return table[apart(q, k).to(table.device)]


class Block(nn.Module):
    """Attention and MLP; where the attention widens or strides, so does the path around it."""

    def __init__(
        self,
        width: int,
        out: int,
        heads: int,
        *,
        q_stride: int,
        kv_stride: int,
        size: Size,
        drop_path: float,
    ) -> None:
        super().__init__()
        self.q_stride = q_stride
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, out, heads, q_stride=q_stride, kv_stride=kv_stride, size=size)
        self.norm2 = nn.LayerNorm(out, eps=1e-6)
        self.mlp = Mlp(out)
        self.drop_path = DropPath(drop_path)
        if width != out:
            self.proj = nn.Linear(width, out)

    def forward(self, x: Float[Tensor, "b n c"], size: Size) -> tuple[Float[Tensor, "b k d"], Size]:
        normed = self.norm1(x)
        seen, new_size = self.attn(normed, size)
        kept = self.proj(normed) if hasattr(self, "proj") else x
        if self.q_stride > 1:
            kept = self._pool(kept, size)
        x = kept + self.drop_path(seen)
        return x + self.drop_path(self.mlp(self.norm2(x))), new_size

    def _pool(self, x: Float[Tensor, "b n d"], size: Size) -> Float[Tensor, "b k d"]:
        s = self.q_stride
        token, places = x[:, :1], x[:, 1:]
        grid = places.transpose(1, 2).reshape(x.shape[0], -1, *size)
        grid = F.max_pool3d(grid, (1, s + 1, s + 1), (1, s, s), (0, (s + 1) // 2, (s + 1) // 2))
        return torch.cat((token, grid.flatten(2).transpose(1, 2)), dim=1)


class Mvit(nn.Module):
    """Patches of 3 x 7 x 7 at stride 2 x 4 x 4, a class token, the blocks, the classifier."""

    def __init__(
        self, shape: Shape, *, classes: int = 400, channels: int = 3, dropout: float = 0.5
    ) -> None:
        super().__init__()
        width, heads = shape.width, shape.heads
        self.patch_embed = nn.Conv3d(channels, width, (3, 7, 7), (2, 4, 4), (1, 3, 3))
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        shares = torch.linspace(0, shape.drop_path, shape.depth, device="cpu").tolist()
        size: Size = (shape.frames // 2, shape.size // 4, shape.size // 4)
        kv_stride = 8
        self.blocks = nn.ModuleList()
        for i in range(shape.depth):
            step = 2 if i in shape.doublings else 1
            out, heads, kv_stride = width * step, heads * step, max(1, kv_stride // step)
            self.blocks.append(
                Block(
                    width, out, heads,
                    q_stride=step, kv_stride=kv_stride, size=size, drop_path=shares[i],
                )
            )  # fmt: skip
            width, size = out, (size[0], size[1] // step, size[2] // step)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, classes)

    def forward(
        self, clips: Float[Tensor, "b c t h w"] | list[Float[Tensor, "b c t h w"]]
    ) -> Float[Tensor, "b k"]:
        grid = self.patch_embed(one_clip(clips))
        size = (grid.shape[2], grid.shape[3], grid.shape[4])
        x = grid.flatten(2).transpose(1, 2)
        x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1)
        for block in self.blocks:
            x, size = block(x, size)
        return self.head(self.dropout(self.norm(x)[:, 0]))


@dataclass(frozen=True)
class Settings(ClipSettings):
    """The published sizes; frames and size of the clip may differ."""

    variant: Literal["mvit_v2_s", "mvit_v2_b", "mvit_v2_l"] = (
        "mvit_v2_s"  # of the published networks
    )
    sampling: Literal["segments", "dense"] = "dense"  # frames in a row
    frames: int = 16  # frames of a clip
    size: int = 224  # side of the square that the network sees, in pixels


@model("mvit", answers="Moments")
class MvitModel(ClipModel):
    """Attention that pools."""

    mean, std = (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)

    def __init__(self, settings: Settings = Settings()) -> None:
        super().__init__(settings)

    def build(self, classes: int) -> nn.Module:
        s = self.settings
        return Mvit(
            replace(VARIANTS[s.variant], frames=s.frames, size=s.size),
            classes=classes,
            dropout=s.dropout,
        )

    def published(self) -> str:
        return str(self.settings.variant)


LAYOUTS = (
    Layout(
        "SlowFast",
        r"^patch_embed\.proj\.",
        (
            (r"^patch_embed\.proj\.", "patch_embed."),
            (r"\.attn\.pool_([qkv])\.", r".attn.pool_\1.conv."),
            (r"\.attn\.norm_([qkv])\.", r".attn.pool_\1.norm."),
            (r"^head\.projection\.", "head."),
        ),
    ),
    Layout(
        "mmaction2",
        r"^backbone\.patch_embed\.projection\.",
        (
            (r"^backbone\.", ""),
            (r"^patch_embed\.projection\.", "patch_embed."),
            (r"\.attn\.pool_([qkv])\.", r".attn.pool_\1.conv."),
            (r"\.attn\.norm_([qkv])\.", r".attn.pool_\1.norm."),
            (r"^norm3\.", "norm."),
            (r"^cls_head\.fc_cls\.", "head."),
        ),
    ),
    Layout(
        "torchvision",
        r"^conv_proj\.",
        (
            (r"^conv_proj\.", "patch_embed."),
            (r"^pos_encoding\.class_token$", "cls_token"),
            (r"\.attn\.project\.0\.", ".attn.proj."),
            (r"\.attn\.pool_([qkv])\.pool\.", r".attn.pool_\1.conv."),
            (r"\.attn\.pool_([qkv])\.norm_act\.0\.", r".attn.pool_\1.norm."),
            (r"\.mlp\.0\.", ".mlp.fc1."),
            (r"\.mlp\.3\.", ".mlp.fc2."),
            (r"\.project\.", ".proj."),
            (r"^head\.1\.", "head."),
        ),
    ),
)


@published("mvit_v2_s", "mvit_v2_b", "mvit_v2_l")
def build(name: str, state_dict: Mapping[str, Any]) -> nn.Module:
    """Clips (b, 3, t, h, w) to logits (b, k); keys of SlowFast, mmaction2 or torchvision.

    The tables of relative positions say for which length and size a file was trained; other
    inputs interpolate them.
    """
    weights = read_weights(state_dict, LAYOUTS)
    token = weights.tensors.get("cls_token")
    if token is not None and token.ndim == 1:
        weights.tensors["cls_token"] = token[None, None]
    shape = _trained_for(VARIANTS[name], weights)
    return load(name, lambda: Mvit(shape, classes=weights.rows("head.weight", 400)), weights)


def _trained_for(shape: Shape, weights: Weights) -> Shape:
    frames = weights.rows("blocks.0.attn.rel_pos_t", shape.frames - 1) + 1
    size = 2 * (weights.rows("blocks.0.attn.rel_pos_h", shape.size // 2 - 1) + 1)
    return Shape(
        shape.depth, shape.doublings, frames, size, shape.width, shape.heads, shape.drop_path
    )
