"""Networks of single frames over several segments: the published layout, and ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from triscope.motion.models._bninception import BNInception
from triscope.motion.models._clip_model import ClipModel, copy_fitting, read_file
from triscope.motion.models._loading import Layout
from triscope.motion.models._mobilenetv2 import MobileNetV2, from_timm
from triscope.motion.models._resnet2d import ResNet2D

Wrap = Callable[[nn.Module], nn.Module]


def segments(clips: Float[Tensor, "..."], channels: int) -> tuple[Tensor, int]:
    """Frames (n, c, h, w) and how many a clip has.

    Clips are (b, c, t, h, w), or as published (b, t * c, h, w) with the channels of a segment
    behind one another.
    """
    if clips.ndim == 5:
        b, c, t, h, w = clips.shape
        return clips.transpose(1, 2).reshape(b * t, c, h, w), t
    b, packed, h, w = clips.shape
    return clips.reshape(b * packed // channels, channels, h, w), packed // channels


def backbone(name: str, channels: int, wrap: Wrap | None = None) -> nn.Module:
    """The network of that name for single frames."""
    builders: Mapping[str, Callable[[], nn.Module]] = {
        "bninception": lambda: BNInception(channels),
        "resnet50": lambda: ResNet2D(depth=50, channels=channels, wrap=wrap),
        "resnet101": lambda: ResNet2D(depth=101, channels=channels, wrap=wrap),
        "mobilenetv2": lambda: MobileNetV2(channels=channels, wrap=wrap),
        "mobilenetv2_tf": lambda: MobileNetV2(channels=channels, wrap=wrap, same=True, eps=1e-3),
    }
    return builders[name]()


def channels_of(tensors: Mapping[str, Tensor], otherwise: int = 3) -> int:
    """The colours (or flow fields) of one segment, read from the first convolution."""
    for key, value in tensors.items():
        if value.ndim == 4:
            return int(value.shape[1]) if key.startswith("base") else otherwise
    return otherwise


class Segmental(nn.Module):
    """A 2-D network on each segment, the mean over space, the classifier, and a consensus."""

    def __init__(
        self,
        base: nn.Module,
        *,
        channels: int = 3,
        classes: int = 400,
        dropout: float = 0.5,
        consensus: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.base = base
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(int(base.width), classes)  # type: ignore[arg-type]
        self.consensus = consensus if consensus is not None else Mean()

    def forward(self, clips: Float[Tensor, "..."]) -> Float[Tensor, "b k"]:
        frames, count = segments(clips, self.channels)
        self.tell(count)
        features = self.features(frames)
        scores = self.head(self.dropout(features))  # (n, k)
        return self.consensus(scores.reshape(-1, count, scores.shape[-1]))

    def features(self, frames: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """What the network sees in each frame."""
        maps = self.base(frames)
        return (maps[0] if isinstance(maps, tuple) else maps).mean((2, 3))

    def tell(self, count: int) -> None:
        """Networks that look over time are told how many frames a clip has."""


class FramesModel(ClipModel):
    """A model on one of the networks of single frames (``settings.backbone``)."""

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        if settings.backbone == "mobilenetv2_tf":
            self.mean, self.std = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)  # type: ignore[misc]

    def start_from(self, path: Path) -> None:
        """Published weights of this model, or of timm's MobileNetV2 for single frames."""
        state = read_file(path)
        if "conv_stem.weight" not in state:
            return super().start_from(path)
        wrapped = {name for name, _ in self.network().named_modules() if name.endswith(".net")}
        copy_fitting(self.network(), from_timm(state, "base.", wrapped), path)
        return None


class Mean(nn.Module):
    """The mean of the segments' scores, in front of the softmax."""

    def forward(self, scores: Float[Tensor, "b s k"]) -> Float[Tensor, "b k"]:
        return scores.mean(1)


def layouts(prefixes: tuple[tuple[str, str], ...] = ()) -> tuple[Layout, ...]:
    """TSN's and TSM's files (``base_model``, ``new_fc``) and mmaction2's."""
    return (
        Layout(
            "TSN",
            r"^base_model\.",
            ((r"^base_model\.", "base."), (r"^new_fc\.", "head."), *prefixes),
        ),
        Layout(
            "mmaction2",
            r"^backbone\.",
            (
                (r"^backbone\.", "base."),
                (r"^base\.conv1\.conv\.", "base.conv1."),
                (r"^base\.conv1\.bn\.", "base.bn1."),
                (r"\.downsample\.conv\.", ".downsample.0."),
                (r"\.downsample\.bn\.", ".downsample.1."),
                (r"\.conv([123])\.conv\.", r".conv\1."),
                (r"(layer\d\.\d+)\.conv([123])\.bn\.", r"\1.bn\2."),
                (r"^cls_head\.fc_cls\.", "head."),
                *prefixes,
            ),
        ),
    )


def shifted_by(x: Float[Tensor, "b t c h w"], fold: int, both: bool) -> Tensor:
    """The first ``fold`` channels from the next frame, the next ``fold`` from the one before.

    Without ``both`` only the past is used: the first ``fold`` channels come from the frame before.
    Zeros where there is no such frame.
    """
    out = torch.zeros_like(x)
    if both:
        out[:, :-1, :fold] = x[:, 1:, :fold]
        out[:, 1:, fold : 2 * fold] = x[:, :-1, fold : 2 * fold]
        out[:, :, 2 * fold :] = x[:, :, 2 * fold :]
    else:
        out[:, 1:, :fold] = x[:, :-1, :fold]
        out[:, :, fold:] = x[:, :, fold:]
    return out
