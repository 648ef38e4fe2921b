"""I3D: Inception-v1 with every filter inflated along time (arXiv:1705.07750).

Carreira, Zisserman: Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset, CVPR 2017.
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

# widths of the branches: b0, b1a, b1b, b2a, b2b, b3b
MIXED: Mapping[str, tuple[int, int, int, int, int, int]] = {
    "3b": (64, 96, 128, 16, 32, 32),
    "3c": (128, 128, 192, 32, 96, 64),
    "4b": (192, 96, 208, 16, 48, 64),
    "4c": (160, 112, 224, 24, 64, 64),
    "4d": (128, 128, 256, 24, 64, 64),
    "4e": (112, 144, 288, 32, 64, 64),
    "4f": (256, 160, 320, 32, 128, 128),
    "5b": (256, 160, 320, 32, 128, 128),
    "5c": (384, 192, 384, 48, 128, 128),
}


def same(x: Clip, kernel: Sequence[int], stride: Sequence[int]) -> Float[Tensor, "b c s i j"]:
    """Zeros as TensorFlow pads ("SAME"): the odd one goes behind."""
    pads: list[int] = []
    sides = list(zip(x.shape[2:], kernel, stride, strict=True))
    for size, k, s in reversed(sides):
        whole = max(k - (s if size % s == 0 else size % s), 0)
        pads += [whole // 2, whole - whole // 2]
    return F.pad(x, pads)


def pool(x: Clip, kernel: Sequence[int], stride: Sequence[int]) -> Float[Tensor, "b c s i j"]:
    """The largest value of each window; the zeros at the border do no harm behind a ReLU."""
    return F.max_pool3d(same(x, kernel, stride), tuple(kernel), tuple(stride))


class Unit(nn.Module):
    """Convolution without bias, batch normalisation, ReLU."""

    def __init__(self, wide_in: int, wide: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(wide_in, wide, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(wide, eps=1e-3)

    def forward(self, x: Clip) -> Float[Tensor, "b d s i j"]:
        x = self.conv3d(same(x, self.conv3d.kernel_size, self.conv3d.stride))
        return F.relu(self.bn(x))


class Mixed(nn.Module):
    """1 x 1 x 1, two branches of 3 x 3 x 3, and a pool, side by side."""

    def __init__(self, wide_in: int, widths: Sequence[int]) -> None:
        super().__init__()
        b0, b1a, b1b, b2a, b2b, b3b = widths
        self.b0 = Unit(wide_in, b0)
        self.b1a, self.b1b = Unit(wide_in, b1a), Unit(b1a, b1b, 3)
        self.b2a, self.b2b = Unit(wide_in, b2a), Unit(b2a, b2b, 3)
        self.b3b = Unit(wide_in, b3b)
        self.width = b0 + b1b + b2b + b3b

    def forward(self, x: Clip) -> Float[Tensor, "b d t h w"]:
        pooled = pool(x, (3, 3, 3), (1, 1, 1))
        parts = (self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pooled))
        return torch.cat(parts, dim=1)


class Logits(nn.Module):
    """The classifier as a 1 x 1 x 1 convolution with bias."""

    def __init__(self, wide: int, classes: int) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(wide, classes, 1)

    def forward(self, x: Clip) -> Float[Tensor, "b k t h w"]:
        return self.conv3d(x)


class I3d(nn.Module):
    """Clips to logits a step in time (b, k, s); their mean over time is the clip's answer.

    Flow has 2 ``channels``. Module names are the published end points.
    """

    def __init__(self, *, classes: int = 400, channels: int = 3, dropout: float = 0.5) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = Unit(channels, 64, 7, 2)
        self.Conv3d_2b_1x1 = Unit(64, 64)
        self.Conv3d_2c_3x3 = Unit(64, 192, 3)
        wide = 192
        for name, widths in MIXED.items():
            mixed = Mixed(wide, widths)
            self.add_module(f"Mixed_{name}", mixed)
            wide = mixed.width
        self.dropout = nn.Dropout(dropout)
        self.logits = Logits(wide, classes)

    def forward(self, clips: Clip | list[Clip]) -> Float[Tensor, "b k s"]:
        x = pool(self.Conv3d_1a_7x7(one_clip(clips)), (1, 3, 3), (1, 2, 2))
        x = pool(self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x)), (1, 3, 3), (1, 2, 2))
        for name in MIXED:
            if name == "4b":
                x = pool(x, (3, 3, 3), (2, 2, 2))
            elif name == "5b":
                x = pool(x, (2, 2, 2), (2, 2, 2))
            x = getattr(self, f"Mixed_{name}")(x)
        reach = [min(w, s) for w, s in zip((2, 7, 7), x.shape[2:], strict=True)]
        x = self.logits(self.dropout(F.avg_pool3d(x, reach, 1)))
        return x.mean((3, 4))


def inflate(weight: Float[Tensor, "o i h w"], time: int) -> Float[Tensor, "o i t h w"]:
    """A 2-D filter repeated along time and divided by its length (section 2.4).

    A clip that stands still then gives what the picture gave, away from the first and last frames.
    """
    return weight[:, :, None].repeat(1, 1, time, 1, 1) / time


@dataclass(frozen=True)
class Settings(ClipSettings):
    """Frames in a row, as published."""

    sampling: Literal["segments", "dense"] = "dense"  # frames in a row
    frames: int = 16  # frames of a clip
    size: int = 224  # side of the square that the network sees, in pixels


@model("i3d", answers="Moments")
class I3dModel(ClipModel):
    """Inception-v1 with filters inflated along time."""

    mean, std = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)

    def __init__(self, settings: Settings = Settings()) -> None:
        super().__init__(settings)

    def build(self, classes: int) -> nn.Module:
        s = self.settings
        return I3d(classes=classes, dropout=s.dropout)

    def published(self) -> str:
        return "i3d"


LAYOUT = Layout("pytorch-i3d", r"^Conv3d_1a_7x7\.")


@published("i3d", "i3d_rgb", "i3d_flow")
def build(name: str, state_dict: Mapping[str, Any]) -> nn.Module:
    """Clips (b, 3, t, h, w), or flow (b, 2, t, h, w), to logits a step in time (b, k, s)."""
    weights = read_weights(state_dict, (LAYOUT,))
    first = weights.shape("Conv3d_1a_7x7.conv3d.weight")
    channels = first[1] if first else (2 if name == "i3d_flow" else 3)
    classes = weights.rows("logits.conv3d.weight", 400)
    return load(name, lambda: I3d(classes=classes, channels=channels), weights)
