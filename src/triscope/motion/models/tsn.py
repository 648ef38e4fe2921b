"""TSN: a few frames spread over the whole video vote on what it shows (arXiv:1608.00859).

Wang, Xiong, Wang, Qiao, Lin, Tang, Van Gool: Temporal Segment Networks, ECCV 2016.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from triscope.kernel.catalogue import model, published
from triscope.motion.models._clip_model import ClipSettings
from triscope.motion.models._frames import (
    FramesModel,
    Mean,
    Segmental,
    backbone,
    channels_of,
    layouts,
    segments,
)
from triscope.motion.models._loading import load, read_weights

Backbone = Literal["bninception", "resnet50", "resnet101", "mobilenetv2", "mobilenetv2_tf"]
Consensus = Literal["mean", "max", "top", "weighted", "identity", "change"]


class Max(nn.Module):
    """The highest score of a class over the segments."""

    def forward(self, scores: Float[Tensor, "b s k"]) -> Float[Tensor, "b k"]:
        return scores.amax(1)


class Top(nn.Module):
    """The mean of each class's ``count`` highest scores."""

    def __init__(self, count: int = 3) -> None:
        super().__init__()
        self.count = count

    def forward(self, scores: Float[Tensor, "b s k"]) -> Float[Tensor, "b k"]:
        return scores.topk(min(self.count, scores.shape[1]), dim=1).values.mean(1)


class Weighted(nn.Module):
    """Learned weights of the segments, which sum to 1."""

    def __init__(self, segments: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(segments))

    def forward(self, scores: Float[Tensor, "b s k"]) -> Float[Tensor, "b k"]:
        return torch.einsum("bsk,s->bk", scores, self.weight.softmax(0))


class ChangeSegmental(Segmental):
    """Sees how much each feature changes over the segments and nothing of what they look like.

    Ours, not the paper's: where the same rooms are filmed with and without the action, looks
    mislead. Each feature is divided by its own spread over the training, as a linear probe is.
    """

    def __init__(self, base: nn.Module, *, channels: int, classes: int, dropout: float) -> None:
        super().__init__(base, channels=channels, classes=classes, dropout=dropout)
        linear = self.head
        self.head = nn.Sequential(nn.BatchNorm1d(linear.in_features, affine=False), linear)  # type: ignore[assignment]

    def forward(self, clips: Float[Tensor, "..."]) -> Float[Tensor, "b k"]:
        frames, count = segments(clips, self.channels)
        features = self.features(frames)
        features = features.reshape(-1, count, features.shape[1])  # (b, s, d)
        apart = (features - features.mean(1, keepdim=True)).square().mean(1)
        return self.head(self.dropout((apart + 1e-8).sqrt()))


def consensus(kind: Consensus, segments: int) -> nn.Module:
    """The function that makes one answer of the segments' scores; identity: one segment."""
    if kind == "top":
        return Top()
    if kind == "weighted":
        return Weighted(segments)
    return Max() if kind == "max" else Mean()


def network(
    base: str, *, classes: int = 400, channels: int = 3, dropout: float = 0.5,
    kind: Consensus = "mean", segments: int = 3,
) -> Segmental:  # fmt: skip
    """TSN on one of the networks of single frames."""
    if kind == "change":
        return ChangeSegmental(
            backbone(base, channels), channels=channels, classes=classes, dropout=dropout
        )
    return Segmental(
        backbone(base, channels),
        channels=channels,
        classes=classes,
        dropout=dropout,
        consensus=consensus(kind, segments),
    )


@dataclass(frozen=True)
class Settings(ClipSettings):
    """Sparse frames and their consensus."""

    backbone: Backbone = "resnet50"  # network of the frames; _tf: for weights of TensorFlow
    consensus: Consensus = "mean"  # of the segments; change: see only how their features change
    norm: Literal["learn", "partial", "frozen"] = "partial"  # batch norms


@model("tsn", answers="Moments")
class TsnModel(FramesModel):
    """A few frames spread over the video vote."""

    def __init__(self, settings: Settings = Settings()) -> None:
        super().__init__(settings)

    def build(self, classes: int) -> nn.Module:
        s = self.settings
        return network(
            s.backbone,
            classes=classes,
            dropout=s.dropout,
            kind=s.consensus,
            segments=s.frames,
        )

    def published(self) -> str:
        return f"tsn_{self.settings.backbone}"


@published("tsn_bninception", "tsn_resnet50", "tsn_resnet101", "tsn_mobilenetv2")
def build(name: str, state_dict: Mapping[str, Any]) -> nn.Module:
    """Segments (b, s * c, h, w), or clips (b, c, s, h, w), to logits (b, k).

    Keys of the authors (``base_model``, ``new_fc``) or of mmaction2 (ResNet). The channels of a
    segment, 3 of colour or those of stacked flow, are read from the first convolution.
    """
    weights = read_weights(state_dict, layouts())
    return load(
        name,
        lambda: network(
            name.removeprefix("tsn_"),
            classes=weights.rows("head.weight", 400),
            channels=channels_of(weights.tensors),
        ),
        weights,
    )
