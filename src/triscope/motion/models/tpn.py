"""TPN: a pyramid over the levels of one network sees fast and slow actions (arXiv:2004.03548).

Yang, Xu, Shi, Dai, Zhou: Temporal Pyramid Network for Action Recognition, CVPR 2020.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.kernel.catalogue import model, published
from triscope.motion.models._clip_model import ClipModel, ClipSettings
from triscope.motion.models._layouts import MMACTION_BLOCK, TORCHVISION_BLOCK
from triscope.motion.models._loading import Layout, load, read_weights
from triscope.motion.models._resnet3d import BLOCKS, Clip, Stem, stage

Flow = Literal["cascade", "parallel"]
Clip_ = Float[Tensor, "b d s i j"]


class ConvNorm(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(
        self, wide_in: int, wide: int, *, space: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        pad = space // 2
        self.conv = nn.Conv3d(
            wide_in, wide, (1, space, space), (1, stride, stride), (0, pad, pad),
            groups=groups, bias=False,
        )  # fmt: skip
        self.bn = nn.BatchNorm3d(wide)

    def forward(self, x: Clip) -> Float[Tensor, "b d t i j"]:
        return F.relu(self.bn(self.conv(x)))


class TemporalModulation(nn.Module):
    """Grouped convolution over three frames, then the maximum of each ``scale`` of them."""

    def __init__(self, wide_in: int, wide: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.conv = nn.Conv3d(wide_in, wide, (3, 1, 1), padding=(1, 0, 0), groups=32, bias=False)

    def forward(self, x: Clip) -> Float[Tensor, "b d s h w"]:
        return F.max_pool3d(self.conv(x), (self.scale, 1, 1), ceil_mode=True)


class LevelFusion(nn.Module):
    """Each level through a grouped 1 x 1 x 1, side by side, through a 1 x 1 x 1."""

    def __init__(self, ratio: int = 1, wide: int = 1024, out: int = 2048) -> None:
        super().__init__()
        self.ratio = ratio  # frames of the lower level for one of the higher
        self.levels = nn.ModuleList(ConvNorm(wide, wide, groups=32) for _ in range(2))
        self.fusion = ConvNorm(2 * wide, out)

    def forward(self, low: Clip, high: Clip_) -> Float[Tensor, "b e s i j"]:
        low = F.max_pool3d(low, (self.ratio, 1, 1), ceil_mode=True)
        return self.fusion(torch.cat((self.levels[0](low), self.levels[1](high)), dim=1))


class Auxiliary(nn.Module):
    """A second classifier on res4, for the training only; its loss counts half."""

    def __init__(self, wide: int, classes: int) -> None:
        super().__init__()
        self.conv = ConvNorm(wide, 2 * wide, space=3, stride=2)
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(2 * wide, classes)

    def forward(self, x: Clip) -> Float[Tensor, "b k"]:
        return self.fc(self.dropout(self.conv(x).mean((2, 3, 4))))


class Neck(nn.Module):
    """The pyramid on res4 and res5: spatial and temporal modulation, two flows, their fusion.

    ``cascade``: the bottom-up flow starts from the top-down sums, as the published code runs;
    ``parallel``: both start from the modulated levels, as the paper draws it.
    """

    def __init__(
        self, *, flow: Flow = "cascade", scales: tuple[int, int] = (8, 8), classes: int = 400
    ) -> None:
        super().__init__()
        self.flow, self.ratio = flow, scales[1] // scales[0]
        self.spatial = ConvNorm(1024, 2048, space=3, stride=2)
        self.temporal = nn.ModuleList(TemporalModulation(2048, 1024, scale) for scale in scales)
        self.up = nn.Conv3d(1024, 1024, (3, 1, 1), padding=(1, 0, 0), bias=False)
        self.top_down = LevelFusion(self.ratio)
        self.bottom_up = LevelFusion(self.ratio)
        self.fusion = ConvNorm(4096, 2048)
        self.auxiliary = Auxiliary(1024, classes)

    def forward(self, res4: Clip, res5: Float[Tensor, "b d t i j"]) -> Float[Tensor, "b d s i j"]:
        low, high = self.temporal[0](self.spatial(res4)), self.temporal[1](res5)
        summed = low + high  # one frame of the higher level goes to all of the lower
        down = self.top_down(summed, high)
        start = summed if self.flow == "cascade" else low
        lifted = F.max_pool3d(self.up(start), (self.ratio, 1, 1), ceil_mode=True)
        up = self.bottom_up(start, high + lifted)
        return self.fusion(torch.cat((down, up), dim=1))


class Tpn(nn.Module):
    """Slow network (3 frames in res4 and res5), pyramid, linear head.

    Clips are (b, 3, t, h, w), or (b, n, 3, t, h, w) with n clips of a video, whose logits are
    averaged.
    """

    def __init__(
        self,
        *,
        depth: int = 50,
        flow: Flow = "cascade",
        scales: tuple[int, int] = (8, 8),
        classes: int = 400,
        channels: int = 3,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.stem = Stem(channels, 64, 1)
        self.stages = nn.ModuleList(
            stage(
                64 if k == 0 else 128 * 2**k,
                64 * 2**k,
                256 * 2**k,
                count,
                times=(3,) if k > 1 else (1,),
                stride=(1, 1, 1) if k == 0 else (1, 2, 2),
            )
            for k, count in enumerate(BLOCKS[depth])
        )
        self.neck = Neck(flow=flow, scales=scales, classes=classes)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2048, classes)

    def forward(self, clips: Float[Tensor, "..."]) -> Float[Tensor, "b k"]:
        count = clips.shape[1] if clips.ndim == 6 else 1
        x = clips.flatten(0, 1) if clips.ndim == 6 else clips
        return self.answer(*self.levels(x)).reshape(-1, count, self.head.out_features).mean(1)

    def levels(self, clips: Clip) -> tuple[Tensor, Tensor]:
        """The maps of res4 and res5."""
        x = self.stem(clips)
        for part in self.stages[:3]:
            x = part(x)
        return x, self.stages[3](x)

    def answer(self, res4: Tensor, res5: Tensor) -> Float[Tensor, "n k"]:
        """Logits from the two levels."""
        return self.head(self.dropout(self.neck(res4, res5).mean((2, 3, 4))))


@dataclass(frozen=True)
class Settings(ClipSettings):
    """Slow network of 50 or 101 layers with the pyramid on top."""

    depth: Literal["50", "101"] = "50"  # layers
    flow: Flow = "cascade"  # as the published code runs, or as the paper draws it
    sampling: Literal["segments", "dense"] = "dense"  # frames in a row
    size: int = 224  # side of the square that the network sees, in pixels


@model("tpn", answers="Moments")
class TpnModel(ClipModel):
    """A pyramid over the levels of one network."""

    def more_losses(
        self, clips: Float[Tensor, "b c t h w"], targets: Float[Tensor, "b k"]
    ) -> dict[str, Tensor]:
        """The auxiliary classifier on res4; its loss counts half."""
        net = self.network()
        assert isinstance(net, Tpn)
        logits = net.neck.auxiliary(net.levels(clips)[0])
        return {"auxiliary": 0.5 * F.cross_entropy(logits, targets)}

    def __init__(self, settings: Settings = Settings()) -> None:
        super().__init__(settings)

    def build(self, classes: int) -> nn.Module:
        s = self.settings
        return Tpn(
            depth=int(s.depth),
            flow=s.flow,
            scales=(s.frames, s.frames),
            classes=classes,
            dropout=s.dropout,
        )

    def published(self) -> str:
        return f"tpn_r{self.settings.depth}_8x8"


NECK = (
    (r"^neck\.spatial_modulation\.(spatial_modulation\.)?0\.0\.", "neck.spatial."),
    (r"^neck\.temporal_modulation_ops\.(\d)\.conv\.", r"neck.temporal.\1.conv."),
    (r"^neck\.downsamp(le|ling)_ops\.0\.conv\.", "neck.up."),
    (r"^neck\.level_fusion_op2\.", "neck.top_down."),
    (r"^neck\.level_fusion_op\.", "neck.bottom_up."),
    (r"^neck\.level_fusion_2\.", "neck.bottom_up."),
    (r"^neck\.level_fusion_1\.", "neck.top_down."),
    (r"\.ops\.(\d)\.norm\.", r".levels.\1.bn."),
    (r"\.ops\.(\d)\.", r".levels.\1."),
    (r"^neck\.pyramid_fusion(_op)?\.", "neck.fusion."),
    (r"\.fusion_conv\.", ".fusion."),
    (r"\.fusion\.0\.", ".fusion.conv."),
    (r"\.fusion\.1\.", ".fusion.bn."),
    (r"^neck\.aux_head\.convs?\.", "neck.auxiliary.conv."),
    (r"^neck\.aux_head\.fc\.", "neck.auxiliary.fc."),
)
LAYOUTS = (
    Layout(
        "TPN",
        r"^necks\.",
        (
            (r"^backbone\.conv1\.", "stem.conv."),
            (r"^backbone\.bn1\.", "stem.bn."),
            (r"^backbone\.", ""),
            (r"^necks\.", "neck."),
            *NECK,
            *((p, r) for p, r in TORCHVISION_BLOCK),
            (r"^cls_head\.fc_cls\.", "head."),
        ),
    ),
    Layout(
        "mmaction2",
        r"^neck\.",
        (
            (r"^(backbone|neck)\.(?!aux_head)(.*)\.conv\.(conv|bn)\.", r"\1.\2.\3."),
            (r"^backbone\.conv1\.(conv|bn)\.", r"stem.\1."),
            (r"^backbone\.", ""),
            *NECK,
            (r"^neck\.(temporal\.\d|up)\.conv\.conv\.", r"neck.\1.conv."),
            (r"\.downsamples\.(\d)\.", r".levels.\1."),
            *MMACTION_BLOCK,
            (r"^cls_head\.fc_cls\.", "head."),
        ),
    ),
)


@published("tpn_r50_8x8", "tpn_r50_16x4", "tpn_r50_32x2", "tpn_r101_8x8", "tpn_r101_16x4",
           "tpn_r101_32x2")  # fmt: skip
def build(name: str, state_dict: Mapping[str, Any]) -> nn.Module:
    """Clips (b, n, 3, t, h, w) or (b, 3, t, h, w) to logits (b, k).

    Keys of the authors, or of mmaction2.
    """
    weights = read_weights(state_dict, LAYOUTS)
    _, depth, sampling = name.split("_")
    frames = int(sampling.split("x")[0])
    # the configurations of depth 101 keep twice the frames of the lower level
    scales = (frames // 2, frames) if depth == "r101" else (frames, frames)
    return load(
        name,
        lambda: Tpn(
            depth=int(depth[1:]),
            scales=scales,
            classes=weights.rows("head.weight", 400),
        ),
        weights,
    )
