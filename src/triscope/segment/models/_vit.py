"""The image encoder: a plain ViT with windowed and global attention, arXiv:2304.02643 appendix A.

Windows and decomposed relative positions follow ViTDet, arXiv:2203.16527 section 3 and MViTv2,
arXiv:2112.01526 equation 4. Module names are the published keys.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from triscope.segment.models._layers import from_windows, neck, to_windows

SCORES_AT_ONCE = 2**26  # attention scores held at a time: four heads of 64x64 tokens


class ImageEncoderViT(nn.Module):
    """Images (b, 3, s, s), normalised and padded, to embeddings (b, out, s/16, s/16)."""

    def __init__(
        self,
        *,
        image_size: int,
        width: int,
        depth: int,
        heads: int,
        global_blocks: tuple[int, ...],
        window: int = 14,
        patch: int = 16,
        out: int = 256,
    ) -> None:
        super().__init__()
        side = image_size // patch
        self.patch_embed = PatchEmbed(patch=patch, width=width)
        self.pos_embed = nn.Parameter(torch.zeros(1, side, side, width))
        self.blocks = nn.ModuleList(
            Block(width=width, heads=heads, side=side, window=0 if i in global_blocks else window)
            for i in range(depth)
        )
        self.neck = neck(width=width, out=out)

    def forward(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b d g g"]:
        x = self.patch_embed(images) + self.pos_embed  # (b, g, g, width)
        for block in self.blocks:
            x = block(x)
        return self.neck(x.permute(0, 3, 1, 2))


class PatchEmbed(nn.Module):
    """One token per patch, channels last."""

    def __init__(self, *, patch: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, kernel_size=patch, stride=patch)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b g f c"]:
        return self.proj(images).permute(0, 2, 3, 1)


class Block(nn.Module):
    """Pre-norm attention (in windows, or global where ``window`` is 0) and MLP."""

    def __init__(self, *, width: int, heads: int, side: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width=width, heads=heads, side=window or side)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = MLPBlock(width=width, hidden=4 * width)

    def forward(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        x = x + self._attend(self.norm1(x))
        return x + self.mlp(self.norm2(x))

    def _attend(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        if not self.window:
            return self.attn(x)
        # Padding comes after the norm: padded tokens are zero and take part through the qkv bias.
        windows, padded = to_windows(x, self.window)
        return from_windows(self.attn(windows), padded, (x.shape[1], x.shape[2]))


class Attention(nn.Module):
    """Multi-head attention with decomposed relative positions over a square of tokens."""

    def __init__(self, *, width: int, heads: int, side: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * side - 1, width // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * side - 1, width // heads))

    def forward(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        b, h, w, c = x.shape
        qkv = self.qkv(x).reshape(b, h * w, 3, self.heads, c // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (b, heads, h*w, c/heads) each
        table_h = relative_table(self.rel_pos_h, h)
        table_w = relative_table(self.rel_pos_w, w)
        step = max(1, SCORES_AT_ONCE // (h * w) ** 2)
        parts = [
            F.scaled_dot_product_attention(
                q[:, i : i + step],
                k[:, i : i + step],
                v[:, i : i + step],
                attn_mask=relative_bias(q[:, i : i + step], table_h, table_w),
            )
            for i in range(0, self.heads, step)
        ]
        joined = torch.cat(parts, dim=1).transpose(1, 2)  # (b, h*w, heads, c/heads)
        return self.proj(joined.reshape(b, h, w, c))


def relative_table(table: Float[Tensor, "l c"], side: int) -> Float[Tensor, "side side c"]:
    """Rows of the table at (query - key) + side - 1; interpolated only if its length differs."""
    length = 2 * side - 1
    if table.shape[0] != length:
        resized = F.interpolate(table.t()[None], size=length, mode="linear")  # (1, c, length)
        table = resized[0].t()
    index = torch.arange(side)
    return table[index[:, None] - index[None, :] + side - 1]


def relative_bias(
    q: Float[Tensor, "b n t c"],
    table_h: Float[Tensor, "h h c"],
    table_w: Float[Tensor, "w w c"],
) -> Float[Tensor, "b n t t"]:
    """Position terms of the scores; the query enters unscaled."""
    b, heads, tokens, c = q.shape
    h, w = table_h.shape[0], table_w.shape[0]
    grid = q.reshape(b, heads, h, w, c)
    rows = torch.einsum("bnhwc,hkc->bnhwk", grid, table_h)
    columns = torch.einsum("bnhwc,wkc->bnhwk", grid, table_w)
    bias = rows[..., :, None] + columns[..., None, :]  # (b, heads, h, w, h, w)
    return bias.reshape(b, heads, tokens, tokens)


class MLPBlock(nn.Module):
    """Two linear layers with GELU."""

    def __init__(self, *, width: int, hidden: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(width, hidden)
        self.lin2 = nn.Linear(hidden, width)

    def forward(self, x: Float[Tensor, "*b c"]) -> Float[Tensor, "*b c"]:
        return self.lin2(F.gelu(self.lin1(x)))
