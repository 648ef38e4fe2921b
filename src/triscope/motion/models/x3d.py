"""X3D: a tiny 2-D network expanded step by step along six axes (arXiv:2004.04730).

Feichtenhofer: X3D: Expanding Architectures for Efficient Video Recognition, CVPR 2020.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.kernel.catalogue import model, published
from triscope.motion.models._clip_model import ClipModel, ClipSettings
from triscope.motion.models._layouts import PYTORCHVIDEO_BLOCK, SLOWFAST_BLOCK
from triscope.motion.models._loading import Layout, load, read_weights
from triscope.motion.models._resnet3d import EVERYWHERE, Clip, one_clip, pooled


@dataclass(frozen=True)
class Shape:
    """The six axes of section 3.2, and the step between the frames."""

    frames: int  # gamma_t: frames of a clip
    step: int  # 1 / gamma_tau: frames of the video from one to the next
    size: int  # gamma_s: side of the crop of the training, in pixels
    width: float = 2.0  # gamma_w: channels over 12, 12, 24, 48, 96
    bottleneck: float = 2.25  # gamma_b: inner channels over outer ones
    depth: float = 2.2  # gamma_d: blocks over 1, 2, 5, 3

    @property
    def window(self) -> tuple[int, int, int]:
        """The map in front of the classifier at the size of the training."""
        side = math.ceil(self.size / 32)
        return self.frames, side, side


# Table 4. X2D is the start; of XL and XXL no weights were published, and XXL (the next step in
# width and size) is ours: the paper prints no shape for it.
SHAPES: Mapping[str, Shape] = {
    "x2d": Shape(1, 12, 112, width=2.0, bottleneck=1.0, depth=1.0),
    "x3d_xs": Shape(4, 12, 160),
    "x3d_s": Shape(13, 6, 160),
    "x3d_m": Shape(16, 5, 224),
    "x3d_l": Shape(16, 5, 312, depth=5.0),
    "x3d_xl": Shape(16, 5, 312, width=2.9, depth=5.0),
    "x3d_xxl": Shape(16, 5, 448, width=4.0, depth=5.0),
}
WIDTHS, COUNTS = (12.0, 24.0, 48.0, 96.0), (1, 2, 5, 3)


def rounded(width: float, factor: float = 1.0, multiple: int = 8) -> int:
    """``width * factor`` to the nearest multiple of 8, at least 8 and at least nine tenths."""
    wide = width * factor
    result = max(multiple, int(wide + multiple / 2) // multiple * multiple)
    return result + multiple if result < 0.9 * wide else result


class SqueezeExcite(nn.Module):
    """Channels weighted by what the whole clip shows (arXiv:1709.01507)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = rounded(float(channels), 1 / 16)
        self.fc1 = nn.Conv3d(channels, inner, 1)
        self.fc2 = nn.Conv3d(inner, channels, 1)

    def forward(self, x: Clip) -> Clip:
        seen = x.mean((2, 3, 4), keepdim=True)
        return x * self.fc2(F.relu(self.fc1(seen))).sigmoid()


class Block(nn.Module):
    """1 x 1 x 1 up, depthwise 3 x 3 x 3, squeeze-excitation in every second block, swish, down.

    ``shortcut_norm``: normalise a shortcut that keeps its width (pytorchvideo does not).
    """

    def __init__(
        self,
        narrow_in: int,
        inner: int,
        narrow: int,
        *,
        stride: int,
        squeeze: bool,
        shortcut_norm: bool = True,
    ) -> None:
        super().__init__()
        if narrow_in != narrow or stride > 1:
            self.shortcut = nn.Conv3d(narrow_in, narrow, 1, (1, stride, stride), bias=False)
            if narrow_in != narrow or shortcut_norm:
                self.shortcut_bn = nn.BatchNorm3d(narrow)
        self.a = nn.Conv3d(narrow_in, inner, 1, bias=False)
        self.a_bn = nn.BatchNorm3d(inner)
        self.b = nn.Conv3d(
            inner, inner, 3, (1, stride, stride), padding=1, groups=inner, bias=False
        )
        self.b_bn = nn.BatchNorm3d(inner)
        if squeeze:
            self.se = SqueezeExcite(inner)
        self.c = nn.Conv3d(inner, narrow, 1, bias=False)
        self.c_bn = nn.BatchNorm3d(narrow)

    def forward(self, x: Clip) -> Float[Tensor, "b d t i j"]:
        kept = self.shortcut(x) if hasattr(self, "shortcut") else x
        if hasattr(self, "shortcut_bn"):
            kept = self.shortcut_bn(kept)
        x = self.b_bn(self.b(F.relu(self.a_bn(self.a(x)))))
        if hasattr(self, "se"):
            x = self.se(x)
        return F.relu(kept + self.c_bn(self.c(F.silu(x))))


class Stem(nn.Module):
    """1 x 3 x 3 over space, then 5 x 1 x 1 over time of each channel by itself."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.space = nn.Conv3d(channels, width, (1, 3, 3), (1, 2, 2), (0, 1, 1), bias=False)
        self.time = nn.Conv3d(width, width, (5, 1, 1), padding=(2, 0, 0), groups=width, bias=False)
        self.bn = nn.BatchNorm3d(width)

    def forward(self, x: Clip) -> Float[Tensor, "b d t i j"]:
        return F.relu(self.bn(self.time(self.space(x))))


class Head(nn.Module):
    """1 x 1 x 1, means over the clip, a wide layer without normalisation, the classifier."""

    def __init__(
        self, width: int, inner: int, classes: int, window: tuple[int, int, int], dropout: float
    ) -> None:
        super().__init__()
        self.window = window
        self.conv = nn.Conv3d(width, inner, 1, bias=False)
        self.bn = nn.BatchNorm3d(inner)
        self.wide = nn.Conv3d(inner, 2048, 1, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(2048, classes)

    def forward(self, x: Clip) -> Float[Tensor, "b k"]:
        x = pooled(F.relu(self.bn(self.conv(x))), self.window)  # (b, i, j, k, c)
        x = F.relu(self.wide(x.permute(0, 4, 1, 2, 3))).permute(0, 2, 3, 4, 1)
        return self.fc(self.dropout(x)).mean((1, 2, 3))


class X3d(nn.Module):
    """The network of a shape; time keeps its length up to the head.

    Library differences are arguments: ``shortcut_norm`` (of the shortcut that keeps its width) and
    ``everywhere`` (the head averages over the whole map, not over windows of the size of training).
    """

    def __init__(
        self,
        shape: Shape,
        *,
        classes: int = 400,
        channels: int = 3,
        dropout: float = 0.5,
        shortcut_norm: bool = True,
        everywhere: bool = False,
    ) -> None:
        super().__init__()
        self.shape = shape
        before = rounded(WIDTHS[0], shape.width)
        self.stem = Stem(channels, before)
        self.stages = nn.ModuleList()
        inner = 0
        for width, count in zip(WIDTHS, COUNTS, strict=True):
            narrow = rounded(width, shape.width)
            inner = int(shape.bottleneck * narrow)
            self.stages.append(
                nn.Sequential(
                    *(
                        Block(
                            before if i == 0 else narrow, inner, narrow,
                            stride=2 if i == 0 else 1,
                            squeeze=i % 2 == 0,
                            shortcut_norm=shortcut_norm,
                        )
                        for i in range(math.ceil(shape.depth * count))
                    )
                )
            )  # fmt: skip
            before = narrow
        window = EVERYWHERE if everywhere else shape.window
        self.head = Head(before, inner, classes, window, dropout)

    def forward(self, clips: Clip | list[Clip]) -> Float[Tensor, "b k"]:
        x = self.stem(one_clip(clips))
        for part in self.stages:
            x = part(x)
        return self.head(x)


def candidates(shape: Shape) -> dict[str, Shape]:
    """The six expansions of one step, each about double the multiply-adds (section 3.2)."""
    return {
        "fast": replace(shape, frames=2 * shape.frames, step=max(1, shape.step // 2)),
        "temporal": replace(shape, frames=2 * shape.frames),
        "spatial": replace(shape, size=_even(shape.size * math.sqrt(2))),
        "depth": replace(shape, depth=2.2 * shape.depth),
        "width": replace(shape, width=1.414 * shape.width),
        "bottleneck": replace(shape, bottleneck=2.25 * shape.bottleneck),
    }


def _even(size: float) -> int:
    return 2 * round(size / 2)


@dataclass(frozen=True)
class Settings(ClipSettings):
    """The shape of a published network; its axes can be changed one by one."""

    variant: Literal["x3d_xs", "x3d_s", "x3d_m", "x3d_l", "x3d_xl", "x3d_xxl"] = (
        "x3d_xs"  # of the published networks
    )
    sampling: Literal["segments", "dense"] = "dense"  # frames in a row
    width: float = 0.0  # channels over those of X2D / 2; 0: as published
    depth: float = 0.0  # blocks over 1, 2, 5, 3; 0: as published
    bottleneck: float = 0.0  # inner channels over outer ones; 0: as published


@model("x3d", answers="Moments")
class X3dModel(ClipModel):
    """Depthwise 3-D convolutions: the smallest cost for its accuracy."""

    mean, std = (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)

    @property
    def shape(self) -> Shape:
        """The shape of the variant with the axes that are set, at the settings' clip."""
        s = self.settings
        axes = {n: getattr(s, n) for n in ("width", "depth", "bottleneck") if getattr(s, n) > 0}
        shape = replace(SHAPES[s.variant], **axes)
        return replace(shape, frames=s.frames, step=s.step, size=s.size)

    def __init__(self, settings: Settings = Settings()) -> None:
        super().__init__(settings)

    def build(self, classes: int) -> nn.Module:
        s = self.settings
        return X3d(self.shape, classes=classes, dropout=s.dropout)

    def published(self) -> str:
        return str(self.settings.variant)


LAYOUTS = (
    Layout(
        "pytorchvideo",
        r"^blocks\.1\.res_blocks\.",
        (
            (r"^blocks\.0\.conv\.conv_t\.", "stem.space."),  # their names are the wrong way round
            (r"^blocks\.0\.conv\.conv_xy\.", "stem.time."),
            (r"^blocks\.0\.norm\.", "stem.bn."),
            (r"^blocks\.(\d)\.res_blocks\.", lambda m: f"stages.{int(m[1]) - 1}."),
            (r"\.branch2\.norm_b\.0\.", ".b_bn."),
            (r"\.branch2\.norm_b\.1\.block\.0\.", ".se.fc1."),
            (r"\.branch2\.norm_b\.1\.block\.2\.", ".se.fc2."),
            *PYTORCHVIDEO_BLOCK,
            (r"^blocks\.5\.pool\.pre_conv\.", "head.conv."),
            (r"^blocks\.5\.pool\.pre_norm\.", "head.bn."),
            (r"^blocks\.5\.pool\.post_conv\.", "head.wide."),
            (r"^blocks\.5\.proj\.", "head.fc."),
        ),
    ),
    Layout(
        "SlowFast",
        r"^s1\.pathway0_stem\.",
        (
            (r"^s1\.pathway0_stem\.conv_xy\.", "stem.space."),
            (r"^s1\.pathway0_stem\.conv\.", "stem.time."),
            (r"^s1\.pathway0_stem\.bn\.", "stem.bn."),
            (r"^s(\d)\.pathway0_res(\d+)\.", lambda m: f"stages.{int(m[1]) - 2}.{m[2]}."),
            *SLOWFAST_BLOCK,
            (r"^head\.conv_5\.", "head.conv."),
            (r"^head\.conv_5_bn\.", "head.bn."),
            (r"^head\.lin_5\.", "head.wide."),
            (r"^head\.projection\.", "head.fc."),
        ),
    ),
    Layout(
        "mmaction2",
        r"^backbone\.conv1_s\.",
        (
            (r"^backbone\.conv1_s\.conv\.", "stem.space."),
            (r"^backbone\.conv1_t\.conv\.", "stem.time."),
            (r"^backbone\.conv1_t\.bn\.", "stem.bn."),
            (r"^backbone\.conv5\.conv\.", "head.conv."),
            (r"^backbone\.conv5\.bn\.", "head.bn."),
            (r"^backbone\.layer(\d)\.", lambda m: f"stages.{int(m[1]) - 1}."),
            (r"\.downsample\.conv\.", ".shortcut."),
            (r"\.downsample\.bn\.", ".shortcut_bn."),
            (r"\.conv([123])\.conv\.", lambda m: f".{'abc'[int(m[1]) - 1]}."),
            (r"\.conv([123])\.bn\.", lambda m: f".{'abc'[int(m[1]) - 1]}_bn."),
            (r"\.se_module\.", ".se."),
            (r"^cls_head\.fc1\.", "head.wide."),
            (r"^cls_head\.fc2\.", "head.fc."),
        ),
    ),
)


@published("x3d_xs", "x3d_s", "x3d_m", "x3d_l", "x3d_xl", "x3d_xxl")
def build(name: str, state_dict: Mapping[str, Any]) -> nn.Module:
    """Clips (b, 3, t, h, w) to logits (b, k); keys of pytorchvideo, SlowFast or mmaction2.

    pytorchvideo does not normalise the one shortcut that keeps its width (3,794,274 parameters
    instead of the 3,794,322 of the published X3D-S), the head of mmaction2 averages over the whole
    map: the keys tell.
    """
    weights = read_weights(state_dict, LAYOUTS)
    if weights.layout == "mmaction2":  # its wide layer is linear, ours a 1 x 1 x 1 convolution
        wide = weights.tensors.get("head.wide.weight")
        if wide is not None and wide.ndim == 2:
            weights.tensors["head.wide.weight"] = wide[:, :, None, None, None]
    return load(
        name,
        lambda: X3d(
            SHAPES[name],
            classes=weights.rows("head.fc.weight", 400),
            shortcut_norm=weights.has(r"^stages\.0\.0\.shortcut_bn\."),
            everywhere=weights.layout == "mmaction2",
        ),
        weights,
    )
