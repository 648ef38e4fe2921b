"""The image encoder as it is exported: the same answer, arranged for the runtimes."""

from __future__ import annotations

from copy import deepcopy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from triscope.segment.models._tiny_vit import TinyBlock, WindowAttention
from triscope.segment.models.sam import Sam


class EncoderGraph(nn.Module):
    """``images`` (b, 3, s, s), normalised and padded, to ``image_embeddings`` (b, d, g, g)."""

    def __init__(self, network: Sam) -> None:
        super().__init__()
        self.encoder = deepcopy(network.image_encoder)
        for block in [part for part in self.encoder.modules() if isinstance(part, TinyBlock)]:
            block.add_module("attn", SplitAttention(block.attn))

    def forward(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b d g g"]:
        return self.encoder(images)


class SplitAttention(nn.Module):
    """``WindowAttention`` with a product each for queries, keys and values.

    OpenVINO takes heads apart inside its fused attention if each comes from a product of its own,
    and before it, in passes over memory, if one product made all three.
    """

    def __init__(self, attention: WindowAttention) -> None:
        super().__init__()
        self.heads, self.norm, self.proj = attention.heads, attention.norm, attention.proj
        width = attention.qkv.in_features
        weights = attention.qkv.weight.detach().reshape(self.heads, 3, -1, width)
        biases = attention.qkv.bias.detach().reshape(self.heads, 3, -1)
        scale = (width // self.heads) ** -0.5
        self.query = _linear(scale * weights[:, 0], scale * biases[:, 0])
        self.key = _linear(weights[:, 1], biases[:, 1])
        self.value = _linear(weights[:, 2], biases[:, 2])
        bias = attention.attention_biases.detach()[:, attention.index]
        self.register_buffer("bias", bias)  # (heads, t, t)

    def forward(self, x: Float[Tensor, "n t c"]) -> Float[Tensor, "n t c"]:
        n, t, c = x.shape
        x = self.norm(x)
        q, k, v = (
            linear(x).reshape(n, t, self.heads, c // self.heads).transpose(1, 2)
            for linear in (self.query, self.key, self.value)
        )  # (n, heads, t, c/heads) each
        shares = (q @ k.transpose(2, 3) + self.get_buffer("bias")).softmax(dim=3)
        return self.proj((shares @ v).transpose(1, 2).reshape(n, t, c))


def _linear(weight: Float[Tensor, "h d c"], bias: Float[Tensor, "h d"]) -> nn.Linear:
    made = nn.Linear(weight.shape[2], bias.numel())
    with torch.no_grad():
        made.weight.copy_(weight.flatten(0, 1))
        made.bias.copy_(bias.flatten())
    return made
