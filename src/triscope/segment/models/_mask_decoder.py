"""The mask decoder: a two-way transformer and dynamic masks, arXiv:2304.02643 appendix A.

Tokens attend to themselves, to the image, and the image back to the tokens; each mask is the dot
product of the upscaled image with a vector made from its token. Module names are published keys.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from triscope.segment.models._layers import MLP, LayerNorm2d


class MaskDecoder(nn.Module):
    """Image embedding and prompt tokens to mask logits at four times the grid and their IoU.

    Token 0 gives the mask for prompts without ambiguity, tokens 1 to 3 the three nested ones.
    """

    def __init__(
        self, *, width: int, heads: int, hidden: int, masks: int = 4, depth: int = 2
    ) -> None:
        super().__init__()
        self.width, self.masks = width, masks
        self.embedding_width = width
        self.transformer = TwoWayTransformer(width=width, heads=heads, hidden=hidden, depth=depth)
        self.iou_token = nn.Embedding(1, width)
        self.mask_tokens = nn.Embedding(masks, width)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(width, width // 4, kernel_size=2, stride=2),
            LayerNorm2d(width // 4),
            nn.GELU(),
            nn.ConvTranspose2d(width // 4, width // 8, kernel_size=2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            MLP(width, width, width, width // 8) for _ in range(masks)
        )
        self.iou_prediction_head = MLP(width, width, width, masks)

    def forward(
        self,
        embedding: Float[Tensor, "e c g g"],
        dense_pe: Float[Tensor, "1 c g g"],
        sparse: Float[Tensor, "n k c"],
        dense: Float[Tensor, "n c g g"],
    ) -> tuple[Float[Tensor, "n m l l"], Float[Tensor, "n m"]]:
        """Logits of all masks (token 0 first) and their predicted IoU."""
        n, _, grid, _ = dense.shape
        image = each(dense, embedding).flatten(2).transpose(1, 2)  # (n, g*g, c)
        positions = dense_pe.flatten(2).transpose(1, 2)  # (1, g*g, c)
        tokens, image = self.transformer(self.tokens(sparse), image, positions)
        upscaled = self.output_upscaling(image.transpose(1, 2).reshape(n, -1, grid, grid))
        vectors = self.vectors(tokens)  # (n, m, c/8)
        logits = vectors @ upscaled.flatten(2)  # (n, m, l*l)
        return logits.unflatten(2, upscaled.shape[2:]), self.iou_prediction_head(tokens[:, 0])

    def tokens(self, sparse: Float[Tensor, "n k c"]) -> Float[Tensor, "n t c"]:
        """IoU token, mask tokens, prompt tokens."""
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight])  # (1 + m, c)
        return torch.cat([own.expand(len(sparse), -1, -1), sparse], dim=1)

    def vectors(self, tokens: Float[Tensor, "n t c"]) -> Float[Tensor, "n m v"]:
        """What each mask token is multiplied with the upscaled image as."""
        made = [mlp(tokens[:, 1 + i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)]
        return torch.stack(made, dim=1)


def each(
    prompts: Float[Tensor, "n c h w"], images: Float[Tensor, "e c h w"]
) -> Float[Tensor, "n c h w"]:
    """What is of each prompt plus what is of its image: n/e prompts an image, in order."""
    apart = prompts.reshape(len(images), -1, *prompts.shape[1:])
    return (apart + images[:, None]).flatten(0, 1)


class TwoWayTransformer(nn.Module):
    """Layers of two-way attention, then once more from the tokens to the image."""

    def __init__(self, *, width: int, heads: int, hidden: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            TwoWayBlock(width=width, heads=heads, hidden=hidden, first=i == 0) for i in range(depth)
        )
        self.final_attn_token_to_image = Attention(width=width, inner=width // 2, heads=heads)
        self.norm_final_attn = nn.LayerNorm(width)

    def forward(
        self,
        tokens: Float[Tensor, "n t c"],
        image: Float[Tensor, "n p c"],
        positions: Float[Tensor, "1 p c"],
    ) -> tuple[Float[Tensor, "n t c"], Float[Tensor, "n p c"]]:
        """The position code of the tokens is the tokens themselves, as they came in."""
        queries = tokens
        for layer in self.layers:
            queries, image = layer(queries, image, tokens, positions)
        found = self.final_attn_token_to_image(queries + tokens, image + positions, image)
        return self.norm_final_attn(queries + found), image


class TwoWayBlock(nn.Module):
    """Self-attention, tokens to image, MLP, image to tokens; post-norm after each."""

    def __init__(self, *, width: int, heads: int, hidden: int, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attn = Attention(width=width, inner=width, heads=heads)
        self.norm1 = nn.LayerNorm(width)
        self.cross_attn_token_to_image = Attention(width=width, inner=width // 2, heads=heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = ReluMLP(width, hidden)
        self.norm3 = nn.LayerNorm(width)
        self.norm4 = nn.LayerNorm(width)
        self.cross_attn_image_to_token = Attention(width=width, inner=width // 2, heads=heads)

    def forward(
        self,
        queries: Float[Tensor, "n t c"],
        image: Float[Tensor, "n p c"],
        tokens: Float[Tensor, "n t c"],
        positions: Float[Tensor, "1 p c"],
    ) -> tuple[Float[Tensor, "n t c"], Float[Tensor, "n p c"]]:
        queries = self.among_tokens(queries, tokens)
        found = self.cross_attn_token_to_image(queries + tokens, image + positions, image)
        queries = self.after_image(queries, found)
        told = self.cross_attn_image_to_token(image + positions, queries + tokens, queries)
        return queries, self.norm4(image + told)

    def among_tokens(
        self, queries: Float[Tensor, "n t c"], tokens: Float[Tensor, "n t c"]
    ) -> Float[Tensor, "n t c"]:
        """Self-attention; the first layer's output replaces the queries, without positions."""
        if self.first:
            return self.norm1(self.self_attn(queries, queries, queries))
        placed = queries + tokens
        return self.norm1(queries + self.self_attn(placed, placed, queries))

    def after_image(
        self, queries: Float[Tensor, "n t c"], found: Float[Tensor, "n t c"]
    ) -> Float[Tensor, "n t c"]:
        """Take in what was found in the image, then the MLP."""
        queries = self.norm2(queries + found)
        return self.norm3(queries + self.mlp(queries))


class ReluMLP(nn.Module):
    """Two linear layers with ReLU."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(width, hidden)
        self.lin2 = nn.Linear(hidden, width)

    def forward(self, x: Float[Tensor, "*b c"]) -> Float[Tensor, "*b c"]:
        return self.lin2(F.relu(self.lin1(x)))


class Attention(nn.Module):
    """Multi-head attention whose inner width may be smaller than its outer one."""

    def __init__(self, *, width: int, inner: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, inner)
        self.k_proj = nn.Linear(width, inner)
        self.v_proj = nn.Linear(width, inner)
        self.out_proj = nn.Linear(inner, width)

    def forward(
        self,
        q: Float[Tensor, "n t c"],
        k: Float[Tensor, "n p c"],
        v: Float[Tensor, "n p c"],
    ) -> Float[Tensor, "n t c"]:
        heads = [
            x.unflatten(2, (self.heads, -1)).transpose(1, 2)  # (n, heads, tokens, inner/heads)
            for x in (self.q_proj(q), self.k_proj(k), self.v_proj(v))
        ]
        found = F.scaled_dot_product_attention(heads[0], heads[1], heads[2])
        return self.out_proj(found.transpose(1, 2).flatten(2))
