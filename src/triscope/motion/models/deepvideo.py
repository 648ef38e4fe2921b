"""DeepVideo: where a 2-D network should fuse time, doi:10.1109/CVPR.2014.223.

Karpathy, Toderici, Shetty, Leung, Sukthankar, Fei-Fei: Large-scale Video Classification with
Convolutional Neural Networks, CVPR 2014. No code or weights were published. The
paper prints 7 x 7 x 256 in front of the first fully connected layer, which its pools give when
they keep the rest at the border: that is done here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.errors import BadSettings
from triscope.kernel.catalogue import model
from triscope.motion.models._clip_model import ClipModel, ClipSettings

Fusion = Literal["single", "late", "early", "slow", "multiresolution"]
FUSIONS: tuple[Fusion, ...] = get_args(Fusion)
# frames of a clip: late looks at two that are 15 apart, early and slow at 10 in a row
FRAMES: dict[Fusion, int] = {
    "single": 1,
    "late": 16,
    "early": 10,
    "slow": 10,
    "multiresolution": 1,
}
SIDE = 7  # of the map in front of the first fully connected layer


def norm(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Local response normalisation with the numbers of section 3.1."""
    return F.local_response_norm(x, 5, alpha=1e-4, beta=0.5, k=2.0)


def pool(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c i j"]:
    """The largest of 2 x 2."""
    return F.max_pool2d(x, 2, 2, ceil_mode=True)


class Column(nn.Module):
    """C(96, 11, 3)-N-P-C(256, 5, 1)-N-P-C(384, 3, 1)-C(384, 3, 1)-C(256, 3, 1)[-P]."""

    def __init__(self, channels: int = 3, *, last_pool: bool = True) -> None:
        super().__init__()
        self.last_pool = last_pool
        self.conv1 = nn.Conv2d(channels, 96, 11, 3)
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1)
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d i j"]:
        x = pool(norm(F.relu(self.conv1(x))))
        x = pool(norm(F.relu(self.conv2(x))))
        x = F.relu(self.conv4(F.relu(self.conv3(x))))
        x = F.relu(self.conv5(x))
        return pool(x) if self.last_pool else x


class Slow(nn.Module):
    """Time is eaten layer by layer: 10 frames, 4, 2 and 1 responses."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, 96, (4, 11, 11), (2, 3, 3))
        self.conv2 = nn.Conv3d(96, 256, (2, 5, 5), (2, 1, 1), (0, 2, 2))
        self.conv3 = nn.Conv3d(256, 384, (2, 3, 3), (2, 1, 1), (0, 1, 1))
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1)
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1)

    def forward(self, clips: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b d i j"]:
        x = _each(F.relu(self.conv1(clips)))
        x = _each(F.relu(self.conv2(x)))
        x = F.relu(self.conv3(x)).squeeze(2)
        return pool(F.relu(self.conv5(F.relu(self.conv4(x)))))


def _each(x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t i j"]:
    """Normalisation and pool of each response in time."""
    b, c, t, h, w = x.shape
    y = pool(norm(x.transpose(1, 2).reshape(b * t, c, h, w)))
    return y.reshape(b, t, *y.shape[1:]).transpose(1, 2)


class DeepVideo(nn.Module):
    """One of the five networks: clips (b, 3, t, 170, 170), or 178 px for two resolutions.

    ``single`` and ``multiresolution`` look at the middle frame of a clip, ``late`` at its first
    and last, ``early`` and ``slow`` at all ten.
    """

    def __init__(
        self,
        fusion: Fusion = "slow",
        *,
        classes: int = 487,
        channels: int = 3,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.fusion = fusion
        columns = 2 if fusion in ("late", "multiresolution") else 1
        if fusion == "slow":
            self.column: nn.Module = Slow(channels)
        elif fusion == "multiresolution":
            self.fovea = Column(channels, last_pool=False)
            self.context = Column(channels, last_pool=False)
        else:
            self.column = Column(channels * (FRAMES["early"] if fusion == "early" else 1))
        self.fc6 = nn.Linear(columns * 256 * SIDE * SIDE, 4096)
        self.fc7 = nn.Linear(4096, 4096)
        self.fc8 = nn.Linear(4096, classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, clips: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b k"]:
        x = F.adaptive_max_pool2d(self._seen(clips), SIDE).flatten(1)
        x = self.dropout(F.relu(self.fc6(x)))
        return self.fc8(self.dropout(F.relu(self.fc7(x))))

    def _seen(self, clips: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b d i j"]:
        t = clips.shape[2]
        if self.fusion == "slow":
            return self.column(clips)
        if self.fusion == "early":
            return self.column(clips.transpose(1, 2).flatten(1, 2))
        if self.fusion == "late":
            return torch.cat((self.column(clips[:, :, 0]), self.column(clips[:, :, t - 1])), 1)
        frame = clips[:, :, t // 2]
        return self._two_resolutions(frame) if self.fusion == "multiresolution" else (
            self.column(frame)
        )  # fmt: skip

    def _two_resolutions(self, frame: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """The whole frame at half its size, and its centre as it is (section 3.2)."""
        h, w = frame.shape[-2:]
        context = F.interpolate(frame, (h // 2, w // 2), mode="bilinear", antialias=True)
        top, left = (h - h // 2) // 2, (w - w // 2) // 2
        fovea = frame[..., top : top + h // 2, left : left + w // 2]
        return torch.cat((self.fovea(fovea), self.context(context)), dim=1)


@dataclass(frozen=True)
class Settings(ClipSettings):
    """How time is fused; frames in a row, as published."""

    fusion: Fusion = "slow"  # where time is fused
    sampling: Literal["segments", "dense"] = "dense"  # frames in a row
    frames: int = 10  # of a clip: 10 (early, slow), 16 (late), 1 (single, multiresolution)
    step: int = 1  # frames of the video from one to the next
    size: int = 170  # side of the square: 170, or 178 for two resolutions


@model("deepvideo", answers="Moments")
class DeepVideoModel(ClipModel):
    """The five ways of fusing time in a 2-D network."""

    # the paper subtracts 117 and divides by nothing; the scale is that of pixels in [0, 1]
    mean, std = (117 / 255,) * 3, (1 / 255,) * 3

    def __init__(self, settings: Settings = Settings()) -> None:
        super().__init__(settings)

    def build(self, classes: int) -> nn.Module:
        s = self.settings
        if s.fusion in ("early", "slow") and s.frames != FRAMES[s.fusion]:
            raise BadSettings(f"frames={s.frames}: fusion={s.fusion} looks at {FRAMES[s.fusion]}.")
        return DeepVideo(s.fusion, classes=classes, dropout=s.dropout)
