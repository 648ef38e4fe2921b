"""R3D, MC3, R(2+1)D: full, mixed and factored filters in time, arXiv:1711.11248.

Tran, Wang, Torresani, Ray, LeCun, Paluri: A Closer Look at Spatiotemporal Convolutions for Action
Recognition, CVPR 2018; the layout of torchvision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.kernel.catalogue import model, published
from triscope.motion.models._clip_model import ClipModel, ClipSettings
from triscope.motion.models._loading import Layout, load, read_weights
from triscope.motion.models._resnet3d import Clip, one_clip

Filters = Literal["full", "mixed", "factored"]
Kind = Literal["full", "spatial", "factored"]


def middle_width(wide_in: int, wide: int) -> int:
    """The width between space and time that gives as many parameters as a full filter."""
    return wide_in * wide * 27 // (9 * wide_in + 3 * wide)


def conv(wide_in: int, wide: int, middle: int, kind: Kind, stride: int) -> nn.Module:
    """3 x 3 x 3; 1 x 3 x 3; or 1 x 3 x 3 and 3 x 1 x 1 with a normalisation and ReLU between."""
    if kind == "full":
        return nn.Conv3d(wide_in, wide, 3, stride, 1, bias=False)
    if kind == "spatial":
        return nn.Conv3d(wide_in, wide, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False)
    return nn.Sequential(
        nn.Conv3d(wide_in, middle, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False),
        nn.BatchNorm3d(middle),
        nn.ReLU(),
        nn.Conv3d(middle, wide, (3, 1, 1), (stride, 1, 1), (1, 0, 0), bias=False),
    )


class Block(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, wide_in: int, wide: int, kind: Kind, stride: int) -> None:
        super().__init__()
        middle = middle_width(wide_in, wide)  # of both convolutions, as published
        self.conv1 = nn.Sequential(
            conv(wide_in, wide, middle, kind, stride), nn.BatchNorm3d(wide), nn.ReLU()
        )
        self.conv2 = nn.Sequential(conv(wide, wide, middle, kind, 1), nn.BatchNorm3d(wide))
        self.downsample: nn.Module | None = None
        if stride > 1 or wide_in != wide:
            steps = (1 if kind == "spatial" else stride, stride, stride)
            self.downsample = nn.Sequential(
                nn.Conv3d(wide_in, wide, 1, steps, bias=False), nn.BatchNorm3d(wide)
            )

    def forward(self, x: Clip) -> Float[Tensor, "b d s i j"]:
        kept = x if self.downsample is None else self.downsample(x)
        return F.relu(self.conv2(self.conv1(x)) + kept)


def stem(channels: int, filters: Filters) -> nn.Sequential:
    """3 x 7 x 7, or factored with 45 channels between."""
    if filters != "factored":
        return nn.Sequential(
            nn.Conv3d(channels, 64, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False),
            nn.BatchNorm3d(64),
            nn.ReLU(),
        )
    return nn.Sequential(
        nn.Conv3d(channels, 45, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False),
        nn.BatchNorm3d(45),
        nn.ReLU(),
        nn.Conv3d(45, 64, (3, 1, 1), padding=(1, 0, 0), bias=False),
        nn.BatchNorm3d(64),
        nn.ReLU(),
    )


class R3d(nn.Module):
    """Eighteen layers; ``mixed`` looks over time in the first stage only."""

    def __init__(
        self,
        filters: Filters = "full",
        *,
        classes: int = 400,
        channels: int = 3,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.stem = stem(channels, filters)
        for k in range(4):
            before, wide = 64 * 2 ** max(0, k - 1), 64 * 2**k
            kind: Kind = "factored" if filters == "factored" else "full"
            if filters == "mixed" and k > 0:
                kind = "spatial"
            blocks = (Block(before, wide, kind, 1 if k == 0 else 2), Block(wide, wide, kind, 1))
            self.add_module(f"layer{k + 1}", nn.Sequential(*blocks))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(512, classes)

    def forward(self, clips: Clip | list[Clip]) -> Float[Tensor, "b k"]:
        x = self.stem(one_clip(clips))
        for k in range(1, 5):
            x = getattr(self, f"layer{k}")(x)
        return self.head(self.dropout(x.mean((2, 3, 4))))


@dataclass(frozen=True)
class Settings(ClipSettings):
    """Eighteen layers; which filters reach over time."""

    filters: Filters = "factored"  # full, mixed, or factored into space and time
    sampling: Literal["segments", "dense"] = "dense"  # frames in a row
    frames: int = 16  # frames of a clip


@model("r3d", answers="Moments")
class R3dModel(ClipModel):
    """Residual networks with filters over space and time."""

    mean, std = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)

    def __init__(self, settings: Settings = Settings()) -> None:
        super().__init__(settings)

    def build(self, classes: int) -> nn.Module:
        s = self.settings
        return R3d(s.filters, classes=classes, dropout=s.dropout)

    def published(self) -> str:
        return {"full": "r3d_18", "mixed": "mc3_18", "factored": "r2plus1d_18"}[
            self.settings.filters
        ]


LAYOUT = Layout("torchvision", r"^stem\.0\.", ((r"^fc\.", "head."),))
FILTERS: Mapping[str, Filters] = {
    "r3d_18": "full",
    "mc3_18": "mixed",
    "r2plus1d_18": "factored",
}


@published("r3d_18", "mc3_18", "r2plus1d_18")
def build(name: str, state_dict: Mapping[str, Any]) -> nn.Module:
    """Clips (b, 3, t, h, w) to logits (b, k); keys of torchvision."""
    weights = read_weights(state_dict, (LAYOUT,))
    classes = weights.rows("head.weight", 400)
    return load(name, lambda: R3d(FILTERS[name], classes=classes), weights)
