"""ASFormer: attention in windows along time that widen layer by layer (arXiv:2110.08568).

Yi, Wen, Jiang: ASFormer: Transformer for Action Segmentation, BMVC 2021. An encoder, then decoders
that refine its answer with cross-attention. ``causal`` looks back only and normalises each frame
by itself, where the published network normalises over all times.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.kernel.catalogue import model
from triscope.motion.models._segment_model import SegmentModel, SegmentSettings

Track = Float[Tensor, "b c t"]


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of each frame."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Track) -> Track:
        return self.norm(x.transpose(1, 2)).transpose(1, 2)


def norm(width: int, causal: bool) -> nn.Module:
    """Over time as published, or over channels where the future must not be seen."""
    return ChannelNorm(width) if causal else nn.InstanceNorm1d(width)


class WindowAttention(nn.Module):
    """Attention to the frames at most half a window away; queries and keys see ``guide``.

    In the encoder that is the track itself, in a decoder it is joined with the answer before; the
    values come from ``values``.
    """

    def __init__(self, width: int, guide: int, values: int, window: int, causal: bool) -> None:
        super().__init__()
        self.window, self.causal = window, causal
        inner = max(1, width // 2)
        self.query = nn.Conv1d(guide, inner, 1)
        self.key = nn.Conv1d(guide, inner, 1)
        self.value = nn.Conv1d(values, inner, 1)
        self.out = nn.Conv1d(inner, width, 1)

    def forward(
        self, guide: Float[Tensor, "b g t"], values: Float[Tensor, "b v t"]
    ) -> Float[Tensor, "b c t"]:
        q, k, v = self.query(guide), self.key(guide), self.value(values)
        scores = q.transpose(1, 2) @ k / q.shape[1] ** 0.5  # (b, t, t)
        places = torch.arange(guide.shape[2], device=guide.device)
        apart = places[:, None] - places[None, :]
        near = apart.abs() <= max(1, self.window // 2)
        if self.causal:
            near = near & (apart >= 0)
        weights = scores.masked_fill(~near, -1e9).softmax(-1)
        return self.out(F.relu((weights @ v.transpose(1, 2)).transpose(1, 2)))


class Layer(nn.Module):
    """A dilated convolution, attention in a window of the same reach, added to the input."""

    def __init__(self, width: int, i: int, *, cross: bool, causal: bool, dropout: float) -> None:
        super().__init__()
        reach = 2**i
        self.cross = cross
        self.padding = (2 * reach, 0) if causal else (reach, reach)
        self.dilated = nn.Conv1d(width, width, 3, dilation=reach)
        self.norm = norm(width, causal)
        guide = 2 * width if cross else width
        self.attention = WindowAttention(width, guide, width, 2 * reach, causal)
        self.mix = nn.Conv1d(width, width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Track, before: Track, alpha: float) -> Track:
        y = F.relu(self.dilated(F.pad(x, self.padding)))
        normed = self.norm(y)
        guide = torch.cat((normed, before), dim=1) if self.cross else normed
        y = alpha * self.attention(guide, before if self.cross else normed) + y
        return x + self.dropout(self.mix(y))


class Part(nn.Module):
    """Encoder (sees features) or decoder (sees probabilities, attends to the part before)."""

    def __init__(
        self,
        wide_in: int,
        width: int,
        classes: int,
        layers: int,
        *,
        cross: bool,
        causal: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.enter = nn.Conv1d(wide_in, width, 1)
        self.layers = nn.ModuleList(
            Layer(width, i, cross=cross, causal=causal, dropout=dropout) for i in range(layers)
        )
        self.out = nn.Conv1d(width, classes, 1)

    def forward(
        self, x: Track, before: Float[Tensor, "b d t"], alpha: float
    ) -> tuple[Float[Tensor, "b k t"], Float[Tensor, "b d t"]]:
        x = self.enter(x)
        for layer in self.layers:
            x = layer(x, before, alpha)
        return self.out(x), x


class AsFormer(nn.Module):
    """An encoder and decoders; the n-th decoder's attention counts exp(-3 n)."""

    def __init__(
        self,
        *,
        wide_in: int,
        classes: int,
        width: int = 64,
        layers: int = 10,
        stages: int = 4,
        causal: bool = False,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.width = width
        self.parts = nn.ModuleList(
            Part(
                wide_in if i == 0 else classes,
                width,
                classes,
                layers,
                cross=i > 0,
                causal=causal,
                dropout=dropout,
            )
            for i in range(stages)
        )

    def forward(self, x: Track) -> Float[Tensor, "s b k t"]:
        answers = []
        before = x.new_zeros(x.shape[0], self.width, x.shape[2])
        for i, part in enumerate(self.parts):
            alpha = 1.0 if i == 0 else math.exp(-3.0 * (i - 1))
            x, before = part(x if i == 0 else x.softmax(1), before, alpha)
            answers.append(x)
        return torch.stack(answers)


@dataclass(frozen=True)
class Settings(SegmentSettings):
    """Smaller than published (encoder and 3 decoders of 10 layers, 64 channels)."""

    stages: int = 2  # an encoder and the decoders that refine its answer


@model("asformer", answers="Moments")
class AsFormerModel(SegmentModel):
    """Attention in windows along time."""

    def __init__(self, settings: Settings = Settings()) -> None:
        super().__init__(settings)

    def along_time(self, classes: int) -> nn.Module:
        s = self.settings
        return AsFormer(
            wide_in=s.width,
            classes=classes,
            width=s.width,
            layers=s.layers,
            stages=s.stages,
            causal=s.causal,
            dropout=s.dropout,
        )
