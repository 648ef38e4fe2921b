"""The mask decoder for many single points on one image, re-arranged without changing its answer.

What does not depend on the prompt is computed once per image. Behind the first layer each prompt
has its own image tokens; there the projections of the image are folded into the few prompt tokens:
for t tokens and h heads, one product with t*h rows replaces a projection of all positions. The IoU
head runs before the upscaler, which then runs only for prompts that have a mask to show, and as
matrix products with the channels last. The answer differs by rounding only.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from triscope.errors import UsageError
from triscope.segment.everything import Survivors
from triscope.segment.models._layers import LayerNorm2d
from triscope.segment.models._mask_decoder import Attention, MaskDecoder, TwoWayBlock
from triscope.segment.models._nano_decoder import NanoDecoder
from triscope.segment.models.sam import Sam

Floats = NDArray[np.float32]
POSITIONS_AT_ONCE = 1024  # of the upscaler: what it holds then stays in the cache


class ManyPoints:
    """Decodes a grid of points on one image; the decoder of everything mode.

    ``at_once`` prompts share the work on their tokens; each holds its image tokens (4 MB).
    ``half`` computes what each prompt does with the image in bfloat16: faster on processors that
    have it, and no longer exact. The encoder, which runs once, and the upscaler, which runs for few
    prompts and whose rounding would move outlines most, stay exact.
    """

    def __init__(self, network: Sam, at_once: int = 4, *, half: bool = False) -> None:
        if isinstance(network.mask_decoder, NanoDecoder):
            raise UsageError("prompts change what this network sees: take PlainPoints instead.")
        self.network = network.eval()
        self.side, self.at_once, self.half = network.image_size, at_once, half
        self._image: _Image | None = None

    @torch.no_grad()
    def look(self, pixels: Floats) -> None:
        """Embed one input float32 (1, 3, side, side)."""
        device = self.network.mask_decoder.iou_token.weight.device
        self.look_at(self.network.embed(torch.from_numpy(pixels).to(device)))

    @torch.no_grad()
    def look_at(self, embedding: Float[Tensor, "1 c g g"]) -> None:
        """Take an embedding and prepare what all prompts share."""
        kind = torch.bfloat16 if self.half else torch.float32
        self._image = _Image(self.network, embedding, self.at_once, kind)

    def survivors(self, points: NDArray[np.float64], iou_above: float) -> Iterator[Survivors]:
        """Masks of points (n, 2), in pixels of the square, whose predicted IoU is above."""
        if self._image is None:
            raise UsageError("no image yet: call look(pixels) first.")
        for start in range(0, len(points), self.at_once):
            some = points[start : start + self.at_once].astype(np.float32)
            with torch.no_grad():
                index, iou, logits = self._image.decode(torch.from_numpy(some), iou_above)
            yield Survivors(
                point=start + index.cpu().numpy(),
                iou=iou.cpu().numpy(),
                logits=logits.cpu().numpy(),
                done=start + len(some),
            )


class _Image:
    """One embedding with everything that its prompts share."""

    def __init__(
        self, network: Sam, embedding: Float[Tensor, "1 c g g"], at_once: int, kind: torch.dtype
    ) -> None:
        self.prompts, self.decoder = network.prompt_encoder, network.mask_decoder
        image = (embedding + self.prompts.dense(None, 1))[0].flatten(1).t().contiguous()
        self.image = image.to(kind)
        positions = self.prompts.dense_pe()[0].flatten(1).t().contiguous()  # (p, c)
        transformer = self.decoder.transformer
        blocks: list[TwoWayBlock] = list(transformer.layers)  # type: ignore[arg-type]
        self.first = _FirstLayer(blocks[0], image, positions, kind)
        self.later = [_LaterLayer(block, positions, kind) for block in blocks[1:]]
        self.last = _ToImage(transformer.final_attn_token_to_image, positions, kind)
        self.norm_last = transformer.norm_final_attn
        self.upscaler = _Upscaler(self.decoder)
        self.own = self.image.new_empty(at_once, *self.image.shape)
        rows = blocks[0].self_attn.heads * (self.decoder.masks + 3)  # IoU, masks, point, padding
        self.scores = self.image.new_empty(rows, len(self.image))

    def decode(
        self, points: Float[Tensor, "n 2"], iou_above: float
    ) -> tuple[Tensor, Float[Tensor, "k"], Float[Tensor, "k l l"]]:
        """Index of the point, IoU and logits of each mask that is good enough."""
        tokens, own = self._two_ways(points.to(self.image.device)[:, None])
        iou = self.decoder.iou_prediction_head(tokens[:, 0])[:, 1:]
        kept = iou > iou_above if iou_above > 0 else torch.ones_like(iou, dtype=torch.bool)
        which = kept.nonzero()  # (k, 2): point, mask
        vectors = self.decoder.vectors(tokens)[:, 1:]
        logits = [
            self.upscaler(own[i].float(), vectors[i, kept[i]])
            for i in which[:, 0].unique_consecutive().tolist()
        ]
        low = torch.cat(logits) if logits else tokens.new_empty(0, 1, 1)
        return which[:, 0], iou[kept], low

    def _two_ways(
        self, points: Float[Tensor, "n 1 2"]
    ) -> tuple[Float[Tensor, "n t c"], Float[Tensor, "n p c"]]:
        """IoU and mask tokens, and each prompt's image tokens, behind the transformer."""
        sparse = self.prompts.sparse(points, torch.ones_like(points[..., 0]), None, None)
        assert sparse is not None
        tokens, own = self.decoder.tokens(sparse), self.own[: len(points)]
        queries = self.first(tokens, self.image, own, self.scores)
        for layer in self.later:
            queries = layer(queries, tokens, own, self.scores)
        asking = slice(0, 1 + self.decoder.masks)
        queries, placed = queries[:, asking], (queries + tokens)[:, asking]
        return self.norm_last(queries + self.last(placed, own, self.scores)), own


class _FirstLayer:
    """The layer in which all prompts still look at the same image."""

    def __init__(
        self,
        block: TwoWayBlock,
        image: Float[Tensor, "p c"],
        positions: Float[Tensor, "p c"],
        kind: torch.dtype,
    ) -> None:
        look, tell = block.cross_attn_token_to_image, block.cross_attn_image_to_token
        self.block, self.look = block, look
        placed = image + positions
        self.keys = _by_head(look.k_proj(placed), look.heads)  # (h, p, d)
        self.values = _by_head(look.v_proj(image), look.heads)
        self.to_tokens = _ToTokens(tell, tell.q_proj(placed), kind)
        self.norm = _Norm(block.norm4, kind)

    def __call__(
        self,
        tokens: Float[Tensor, "n t c"],
        image: Float[Tensor, "p c"],
        own: Float[Tensor, "n p c"],
        scores: Tensor,
    ) -> Float[Tensor, "n t c"]:
        queries = self.block.among_tokens(tokens, tokens)
        asked = self.look.q_proj(queries + tokens)  # (n, t, i)
        flat = _by_head(asked.flatten(0, 1), self.look.heads)  # all prompts ask the same image
        found = F.scaled_dot_product_attention(flat[None], self.keys[None], self.values[None])[0]
        found = found.transpose(0, 1).flatten(1).reshape(*tokens.shape[:2], -1)
        queries = self.block.after_image(queries, self.look.out_proj(found))
        for i, rows in enumerate(self.to_tokens.rows(queries + tokens, scores, None)):
            told = self.to_tokens.told(queries[i])
            _spread(image, rows, told, self.norm, own[i])
        return queries


class _LaterLayer:
    """A layer in which each prompt has its own image."""

    def __init__(
        self, block: TwoWayBlock, positions: Float[Tensor, "p c"], kind: torch.dtype
    ) -> None:
        tell = block.cross_attn_image_to_token
        self.block = block
        self.to_image = _ToImage(block.cross_attn_token_to_image, positions, kind)
        self.to_tokens = _ToTokens(tell, tell.q_proj(positions), kind)
        self.norm = _Norm(block.norm4, kind)

    def __call__(
        self,
        queries: Float[Tensor, "n t c"],
        tokens: Float[Tensor, "n t c"],
        own: Float[Tensor, "n p c"],
        scores: Tensor,
    ) -> Float[Tensor, "n t c"]:
        queries = self.block.among_tokens(queries, tokens)
        found = self.to_image(queries + tokens, own, scores)
        queries = self.block.after_image(queries, found)
        for i, rows in enumerate(self.to_tokens.rows(queries + tokens, scores, own)):
            told = self.to_tokens.told(queries[i])
            _spread(own[i], rows, told, self.norm, own[i])
        return queries


class _ToImage:
    """Tokens ask their own image: scores from folded queries, values projected when gathered."""

    def __init__(
        self, attention: Attention, positions: Float[Tensor, "p c"], kind: torch.dtype
    ) -> None:
        self.attention, self.heads = attention, attention.heads
        # The bias of the keys adds the same to all positions, which the softmax forgets.
        projected = positions @ attention.k_proj.weight.t()
        by_head = _by_head(projected, self.heads).transpose(1, 2)  # (h, d, p)
        self.positions = by_head.contiguous().to(kind)

    def __call__(
        self, placed: Float[Tensor, "n t c"], own: Float[Tensor, "n p c"], scores: Tensor
    ) -> Float[Tensor, "n t c"]:
        found = [
            self._ask(q, image, scores)
            for q, image in zip(self.attention.q_proj(placed), own, strict=True)
        ]
        return self.attention.out_proj(torch.stack(found))

    def _ask(
        self, q: Float[Tensor, "t i"], image: Float[Tensor, "p c"], scores: Tensor
    ) -> Float[Tensor, "t i"]:
        by_head = _by_head(q, self.heads)  # (h, t, d)
        rows = _scores(by_head, self.attention.k_proj, self.positions, image, scores)
        torch.softmax(rows, dim=1, out=rows)
        gathered = (rows @ image).float().reshape(self.heads, len(q), -1)  # (h, t, c)
        values = gathered @ _rows_by_head(self.attention.v_proj, self.heads).transpose(1, 2)
        return values.transpose(0, 1).flatten(1) + self.attention.v_proj.bias


class _ToTokens:
    """The image asks the tokens: scores from folded keys, values projected before they spread."""

    def __init__(
        self, attention: Attention, asked: Float[Tensor, "p i"], kind: torch.dtype
    ) -> None:
        self.attention, self.heads = attention, attention.heads
        by_head = _by_head(asked, self.heads).transpose(1, 2)  # (h, d, p)
        self.asked = by_head.contiguous().to(kind)

    def rows(
        self, placed: Float[Tensor, "n t c"], scores: Tensor, own: Float[Tensor, "n p c"] | None
    ) -> Iterator[Float[Tensor, "r p"]]:
        """For each prompt the share of each token (by head) at each position, in one buffer."""
        for i, k in enumerate(self.attention.k_proj(placed)):
            image = None if own is None else own[i]
            by_head = _by_head(k, self.heads)
            rows = _scores(by_head, self.attention.q_proj, self.asked, image, scores)
            shares = rows.view(self.heads, len(k), -1)  # (h, t, p)
            torch.softmax(shares, dim=1, out=shares)
            yield rows

    def told(self, queries: Float[Tensor, "t c"]) -> Float[Tensor, "r c"]:
        """Values behind the output projection, a row for each head and token."""
        out = self.attention.out_proj
        weight = out.weight.reshape(out.out_features, self.heads, -1).permute(1, 2, 0)  # (h, d, c)
        spread = _by_head(self.attention.v_proj(queries), self.heads) @ weight  # (h, t, c)
        # The shares of a head add up to one, so the bias can ride on the values.
        return (spread + out.bias / self.heads).flatten(0, 1)


class _Upscaler:
    """Transposed convolutions of stride two as matrix products, channels last."""

    def __init__(self, decoder: MaskDecoder) -> None:
        up1, norm, _, up2, _ = decoder.output_upscaling
        assert isinstance(up1, nn.ConvTranspose2d) and isinstance(up2, nn.ConvTranspose2d)
        assert up1.bias is not None and up2.bias is not None and isinstance(norm, LayerNorm2d)
        self.weight1, self.bias1 = _as_matrix(up1), up1.bias
        self.weight2, self.bias2 = _as_matrix(up2), up2.bias
        self.norm = _Norm(norm, torch.float32)

    def __call__(
        self, image: Float[Tensor, "p c"], vectors: Float[Tensor, "k v"]
    ) -> Float[Tensor, "k l l"]:
        parts = [self._up(some, vectors) for some in torch.split(image, POSITIONS_AT_ONCE)]
        grid = round(len(image) ** 0.5)
        # One cell of the grid is 2x2 cells of 2x2 pixels: (y, x, a, b, d, e, k).
        cells = torch.cat(parts).reshape(grid, grid, 2, 2, 2, 2, -1)
        return cells.permute(6, 0, 2, 4, 1, 3, 5).reshape(-1, 4 * grid, 4 * grid)

    def _up(
        self, image: Float[Tensor, "p c"], vectors: Float[Tensor, "k v"]
    ) -> Float[Tensor, "q k"]:
        twice = (image @ self.weight1).view(-1, len(self.bias1)) + self.bias1  # (4p, c/4)
        twice = F.gelu(self.norm(twice))
        four = (twice @ self.weight2).view(-1, len(self.bias2)) + self.bias2  # (16p, c/8)
        return F.gelu(four) @ vectors.t()


class _Norm:
    """A layer norm over the last axis, in the precision of the image."""

    def __init__(self, norm: nn.LayerNorm | LayerNorm2d, kind: torch.dtype) -> None:
        self.weight, self.bias, self.eps = norm.weight.to(kind), norm.bias.to(kind), norm.eps

    def __call__(self, x: Float[Tensor, "p c"]) -> Float[Tensor, "p c"]:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


def _as_matrix(up: nn.ConvTranspose2d) -> Float[Tensor, "c o"]:
    """Weights (c, o, 2, 2) as (c, 2 * 2 * o)."""
    return up.weight.permute(0, 2, 3, 1).flatten(1).contiguous()


def _by_head(x: Float[Tensor, "t i"], heads: int) -> Float[Tensor, "h t d"]:
    return x.reshape(len(x), heads, -1).transpose(0, 1)


def _rows_by_head(linear: nn.Linear, heads: int) -> Float[Tensor, "h d c"]:
    return linear.weight.reshape(heads, -1, linear.in_features)


def _scores(
    by_head: Float[Tensor, "h t d"],
    projection: nn.Linear,
    positions: Float[Tensor, "h d p"],
    image: Float[Tensor, "p c"] | None,
    buffer: Float[Tensor, "r p"],
) -> Float[Tensor, "r p"]:
    """Scores between tokens and positions in the buffer: the shared part, then the image's own."""
    heads, tokens, width = by_head.shape
    scaled = by_head / width**0.5
    rows = buffer[: heads * tokens]
    torch.bmm(scaled.to(rows.dtype), positions, out=rows.view(heads, tokens, -1))
    if image is not None:
        folded = scaled @ _rows_by_head(projection, heads)  # (h, t, c)
        rows.addmm_(folded.flatten(0, 1).to(rows.dtype), image.t())
    return rows


def _spread(
    image: Float[Tensor, "p c"],
    shares: Float[Tensor, "r p"],
    told: Float[Tensor, "r c"],
    norm: _Norm,
    out: Float[Tensor, "p c"],
) -> None:
    """out = norm(image + what each position was told)."""
    torch.addmm(image, shares.t(), told.to(image.dtype), out=out)
    out.copy_(norm(out))
