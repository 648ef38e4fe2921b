"""S3D: I3D with every 3-D filter factored into space and time (arXiv:1712.04851).

Xie, Sun, Huang, Tu, Murphy: Rethinking Spatiotemporal Feature Learning, ECCV 2018; the layout of
torchvision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.kernel.catalogue import model, published
from triscope.motion.models._clip_model import ClipModel, ClipSettings
from triscope.motion.models._loading import Layout, load, read_weights
from triscope.motion.models._resnet3d import Clip, one_clip
from triscope.motion.models.i3d import MIXED

Size = tuple[int, int, int]


def unit(wide_in: int, wide: int, kernel: Size, stride: Size) -> nn.Sequential:
    """Convolution without bias, batch normalisation, ReLU."""
    pads = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    return nn.Sequential(
        nn.Conv3d(wide_in, wide, kernel, stride, pads, bias=False),
        nn.BatchNorm3d(wide, eps=1e-3, momentum=1e-3),
        nn.ReLU(),
    )


def factored(wide_in: int, wide: int, size: int, stride: int = 1) -> nn.Sequential:
    """Over space, then over time."""
    return nn.Sequential(
        unit(wide_in, wide, (1, size, size), (1, stride, stride)),
        unit(wide, wide, (size, 1, 1), (stride, 1, 1)),
    )


class Mixed(nn.Module):
    """The branches of I3D's blocks with factored filters."""

    def __init__(self, wide_in: int, widths: Sequence[int]) -> None:
        super().__init__()
        b0, b1a, b1b, b2a, b2b, b3b = widths
        single = (1, 1, 1)
        self.branch0 = unit(wide_in, b0, single, single)
        self.branch1 = nn.Sequential(unit(wide_in, b1a, single, single), factored(b1a, b1b, 3))
        self.branch2 = nn.Sequential(unit(wide_in, b2a, single, single), factored(b2a, b2b, 3))
        self.branch3 = nn.Sequential(nn.MaxPool3d(3, 1, 1), unit(wide_in, b3b, single, single))
        self.width = b0 + b1b + b2b + b3b

    def forward(self, x: Clip) -> Float[Tensor, "b d t h w"]:
        parts = (self.branch0(x), self.branch1(x), self.branch2(x), self.branch3(x))
        return torch.cat(parts, dim=1)


class S3d(nn.Module):
    """Clips (b, 3, t, h, w), at least 14 frames of 224 px, to logits (b, k)."""

    def __init__(self, *, classes: int = 400, channels: int = 3, dropout: float = 0.2) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            factored(channels, 64, 7, 2),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            unit(64, 64, (1, 1, 1), (1, 1, 1)),
            factored(64, 192, 3),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        ]
        wide = 192
        for name, widths in MIXED.items():
            if name == "4b":
                layers.append(nn.MaxPool3d(3, 2, 1))
            elif name == "5b":
                layers.append(nn.MaxPool3d(2, 2))
            mixed = Mixed(wide, widths)
            layers.append(mixed)
            wide = mixed.width
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Conv3d(wide, classes, 1)

    def forward(self, clips: Clip | list[Clip]) -> Float[Tensor, "b k"]:
        x = self.features(one_clip(clips))
        reach = [min(w, s) for w, s in zip((2, 7, 7), x.shape[2:], strict=True)]
        return self.head(self.dropout(F.avg_pool3d(x, reach, 1))).mean((2, 3, 4))


@dataclass(frozen=True)
class Settings(ClipSettings):
    """Frames in a row, as published."""

    sampling: Literal["segments", "dense"] = "dense"  # frames in a row
    frames: int = 16  # frames of a clip, 14 or more
    size: int = 224  # side of the square that the network sees, in pixels


@model("s3d", answers="Moments")
class S3dModel(ClipModel):
    """I3D with factored filters."""

    mean, std = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)

    def __init__(self, settings: Settings = Settings()) -> None:
        super().__init__(settings)

    def build(self, classes: int) -> nn.Module:
        s = self.settings
        return S3d(classes=classes, dropout=s.dropout)

    def published(self) -> str:
        return "s3d"


LAYOUT = Layout("torchvision", r"^features\.0\.0\.0\.", ((r"^classifier\.1\.", "head."),))


@published("s3d")
def build(name: str, state_dict: Mapping[str, Any]) -> nn.Module:
    """Clips (b, 3, t, h, w) to logits (b, k); keys of torchvision."""
    weights = read_weights(state_dict, (LAYOUT,))
    return load(name, lambda: S3d(classes=weights.rows("head.weight", 400)), weights)
