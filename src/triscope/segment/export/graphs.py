"""The prompt decoder as it is exported: with the published signature.

It is re-arranged without changing its answer (see ``many_points``): projections of the
image are folded into the few tokens, and the upscaler is written as matrix products with the
channels last. Sparse and dense prompts enter as in the published ``SamOnnxModel``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from triscope.segment.models._drawn_prompts import DrawnPrompts
from triscope.segment.models._mask_decoder import Attention, MaskDecoder, TwoWayBlock
from triscope.segment.models._nano_decoder import NanoDecoder
from triscope.segment.models.sam import Sam

SEVERAL = 1000.0  # outweighs every IoU: with several points token 0 answers, with one it does not


@dataclass(frozen=True)
class Options:
    """The switches of the published export."""

    single_mask: bool = False  # answer the one best mask instead of all four
    stability: bool = False  # answer stability scores in place of predicted IoU
    extra: bool = False  # answer stability scores and areas of the full masks too


class DecoderGraph(nn.Module):
    """The published inputs up to ``has_mask_input`` to low-resolution logits and IoU.

    n prompts of p points each: 1 inside, 0 outside, 2 and 3 corners of a box, -1 padding; without
    a box the caller appends a padding point (0, 0), as published.
    """

    def __init__(self, network: Sam, options: Options = Options()) -> None:
        super().__init__()
        self.prompts, self.options = network.prompt_encoder, options
        # Prompts change what the small network sees: nothing of it can be folded.
        plain = isinstance(network.mask_decoder, NanoDecoder)
        self.decoder = network.mask_decoder if plain else FoldedDecoder(network.mask_decoder)
        self.register_buffer("positions", network.prompt_encoder.dense_pe())

    def forward(
        self,
        image_embeddings: Float[Tensor, "1 d g g"],
        point_coords: Float[Tensor, "n p 2"],
        point_labels: Float[Tensor, "n p"],
        mask_input: Float[Tensor, "n 1 m m"],
        has_mask_input: Float[Tensor, "1"],
    ) -> tuple[Float[Tensor, "n k l l"], Float[Tensor, "n k"]]:
        sparse = self.prompts.corners_and_points(point_coords, point_labels)
        embedded = self.prompts.mask_downscaling(mask_input)  # (n, d, g, g)
        absent = self.prompts.no_mask_embed.weight.reshape(1, -1, 1, 1)
        dense = has_mask_input * embedded + (1 - has_mask_input) * absent
        if isinstance(self.prompts, DrawnPrompts):
            shown = self.prompts.shown(point_coords, point_labels, has_mask_input * mask_input)
            dense = torch.cat([dense, shown], dim=1)
        logits, iou = self.decoder(image_embeddings, self.get_buffer("positions"), sparse, dense)
        if self.options.stability:
            iou = stability(logits)
        return (
            self._single(logits, iou, point_labels) if self.options.single_mask else (logits, iou)
        )

    def _single(
        self,
        logits: Float[Tensor, "n 4 l l"],
        iou: Float[Tensor, "n 4"],
        labels: Float[Tensor, "n p"],
    ) -> tuple[Float[Tensor, "n 1 l l"], Float[Tensor, "n 1"]]:
        """Token 0 for three or more points (padding counts), else the best of the other three."""
        count = torch.ones_like(labels).sum(dim=1, keepdim=True)
        first = torch.tensor([[1.0, 0, 0, 0]])
        best = (iou + (count - 2.5) * SEVERAL * first).argmax(dim=1, keepdim=True)
        one = best[:, :, None, None].expand(-1, -1, logits.shape[2], logits.shape[3])
        return logits.gather(1, one), iou.gather(1, best)


def stability(logits: Float[Tensor, "n k l l"], offset: float = 1.0) -> Float[Tensor, "n k"]:
    """IoU of the masks with the threshold raised and lowered."""
    inner = (logits > offset).to(logits.dtype).sum(dim=(2, 3))
    return inner / (logits > -offset).to(logits.dtype).sum(dim=(2, 3))


class FoldedDecoder(nn.Module):
    """``MaskDecoder`` for prompts with an image each, with fewer and larger products."""

    def __init__(self, decoder: MaskDecoder) -> None:
        super().__init__()
        self.decoder = decoder
        transformer = decoder.transformer
        blocks: list[TwoWayBlock] = list(transformer.layers)  # type: ignore[arg-type]
        self.blocks = nn.ModuleList(blocks)
        self.look = nn.ModuleList(FoldedLook(b.cross_attn_token_to_image) for b in blocks)
        self.tell = nn.ModuleList(FoldedTell(b.cross_attn_image_to_token) for b in blocks)
        self.look_last = FoldedLook(transformer.final_attn_token_to_image)
        self.norm_last = transformer.norm_final_attn
        self.upscaler = MatrixUpscaler(decoder)

    def forward(
        self,
        embedding: Float[Tensor, "1 c g g"],
        dense_pe: Float[Tensor, "1 c g g"],
        sparse: Float[Tensor, "n k c"],
        dense: Float[Tensor, "n c g g"],
    ) -> tuple[Float[Tensor, "n m l l"], Float[Tensor, "n m"]]:
        image = (embedding + dense).flatten(2).transpose(1, 2)  # (n, p, c)
        positions = dense_pe.flatten(2).transpose(1, 2)  # (1, p, c)
        tokens = self.decoder.tokens(sparse)
        queries = tokens
        for block, look, tell in zip(self.blocks, self.look, self.tell, strict=True):
            assert isinstance(block, TwoWayBlock)
            queries = block.among_tokens(queries, tokens)
            placed = image + positions
            queries = block.after_image(queries, look(queries + tokens, placed, image))
            told = tell(queries + tokens, queries, placed)
            # Of rank four: the sum of rank three is fused with the norm, into a kernel that takes
            # three times as long as the two.
            image = block.norm4((image + told)[:, :, None]).squeeze(2)
        own = 1 + self.decoder.masks
        queries, tokens = queries[:, :own], tokens[:, :own]
        queries = self.norm_last(
            queries + self.look_last(queries + tokens, image + positions, image)
        )
        logits = self.upscaler(image, self.decoder.vectors(queries))
        return logits, self.decoder.iou_prediction_head(queries[:, 0])


class FoldedLook(nn.Module):
    """Tokens ask the image: scores from folded queries, values projected when gathered."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.attention, self.heads = attention, attention.heads
        scale = (attention.q_proj.out_features // self.heads) ** -0.5
        # The bias of the keys adds the same to all positions, which the softmax forgets.
        self.register_buffer("keys", _by_head(attention.k_proj, self.heads) * scale)  # (h, d, c)
        self.register_buffer("values", _by_head(attention.v_proj, self.heads).transpose(1, 2))

    def forward(
        self,
        asking: Float[Tensor, "n t c"],
        placed: Float[Tensor, "n p c"],
        image: Float[Tensor, "n p c"],
    ) -> Float[Tensor, "n t c"]:
        n, t, c = asking.shape
        q = self.attention.q_proj(asking).unflatten(2, (self.heads, -1)).transpose(1, 2)
        folded = (q @ self.get_buffer("keys")).reshape(n, self.heads * t, c)  # (n, h*t, c)
        shares = (folded @ placed.transpose(1, 2)).softmax(dim=2)  # (n, h*t, p)
        gathered = (shares @ image).reshape(n, self.heads, t, c)
        values = gathered @ self.get_buffer("values")  # (n, h, t, d)
        joined = values.transpose(1, 2).flatten(2) + self.attention.v_proj.bias
        return self.attention.out_proj(joined)


class FoldedTell(nn.Module):
    """The image asks the tokens: scores from folded keys, values projected before they spread."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.attention, self.heads = attention, attention.heads
        scale = (attention.q_proj.out_features // self.heads) ** -0.5
        self.register_buffer("asked", _by_head(attention.q_proj, self.heads) * scale)  # (h, d, c)
        bias = attention.q_proj.bias.detach().reshape(self.heads, 1, -1) * scale
        self.register_buffer("bias", bias.transpose(1, 2).contiguous())  # (h, d, 1)
        width = attention.out_proj.out_features
        spread = attention.out_proj.weight.detach().reshape(width, self.heads, -1)  # (c, h, d)
        self.register_buffer("spread", spread.permute(1, 2, 0).contiguous())  # (h, d, c)

    def forward(
        self,
        answering: Float[Tensor, "n t c"],
        told: Float[Tensor, "n t c"],
        placed: Float[Tensor, "n p c"],
    ) -> Float[Tensor, "n p c"]:
        n, t, c = answering.shape
        k = self.attention.k_proj(answering).unflatten(2, (self.heads, -1)).transpose(1, 2)
        folded = (k @ self.get_buffer("asked")).reshape(n, self.heads * t, c)
        own = (k @ self.get_buffer("bias")).reshape(n, 1, self.heads * t)
        scores = placed @ folded.transpose(1, 2) + own  # (n, p, h*t)
        shares = scores.unflatten(2, (self.heads, t)).softmax(dim=3).flatten(2)
        v = self.attention.v_proj(told).unflatten(2, (self.heads, -1)).transpose(1, 2)
        values = (v @ self.get_buffer("spread")).reshape(n, self.heads * t, c)
        # The shares of a head sum to one: the bias, spread over the heads, comes with the values.
        return shares @ (values + self.attention.out_proj.bias / self.heads)


class MatrixUpscaler(nn.Module):
    """Transposed convolutions of stride two as matrix products, channels last."""

    def __init__(self, decoder: MaskDecoder) -> None:
        super().__init__()
        up1, norm, _, up2, _ = decoder.output_upscaling
        assert isinstance(up1, nn.ConvTranspose2d) and isinstance(up2, nn.ConvTranspose2d)
        assert up1.bias is not None and up2.bias is not None
        self.norm, self.up1, self.up2 = norm, up1, up2
        self.bias1, self.bias2 = up1.bias, up2.bias
        self.register_buffer("first", _as_matrix(up1))
        self.register_buffer("second", _as_matrix(up2))

    def forward(
        self, image: Float[Tensor, "n p c"], vectors: Float[Tensor, "n m v"]
    ) -> Float[Tensor, "n m l l"]:
        n, p = image.shape[0], image.shape[1]
        grid, masks = round(p**0.5), vectors.shape[1]
        first, second = self.get_buffer("first"), self.get_buffer("second")
        twice = torch.addmm(self.bias1.repeat(4), image.flatten(0, 1), first).reshape(n, 4 * p, -1)
        weight, bias = self.norm.get_parameter("weight"), self.norm.get_parameter("bias")
        twice = F.gelu(F.layer_norm(twice, weight.shape, weight, bias, 1e-6))
        four = torch.addmm(self.bias2.repeat(4), twice.flatten(0, 1), second)
        flat = vectors @ F.gelu(four).reshape(n, 16 * p, -1).transpose(1, 2)  # (n, m, 16p)
        # One cell of the grid is 2x2 cells of 2x2 pixels: (y, x, a, b, d, e).
        cells = flat.reshape(n, masks, grid, grid, 2, 2, 2, 2)
        return cells.permute(0, 1, 2, 4, 6, 3, 5, 7).reshape(n, masks, 4 * grid, 4 * grid)


def _by_head(linear: nn.Linear, heads: int) -> Float[Tensor, "h d c"]:
    return linear.weight.detach().reshape(heads, -1, linear.in_features).contiguous()


def _as_matrix(up: nn.ConvTranspose2d) -> Float[Tensor, "c o"]:
    """Weights (c, o, 2, 2) as (c, 2 * 2 * o)."""
    return up.weight.detach().permute(0, 2, 3, 1).flatten(1).contiguous()
