"""MS-TCN: stages of dilated convolutions along time label each frame, arXiv:1903.01945.

Abu Farha, Gall: MS-TCN: Multi-Stage Temporal Convolutional Network for Action Segmentation,
CVPR 2019. ``causal`` looks back only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.kernel.catalogue import model
from triscope.motion.models._segment_model import SegmentModel, SegmentSettings

Track = Float[Tensor, "b c t"]


class Dilated(nn.Module):
    """A convolution over three frames that lie ``reach`` apart, 1 x 1, added to the input."""

    def __init__(self, width: int, reach: int, *, causal: bool, dropout: float) -> None:
        super().__init__()
        self.padding = (2 * reach, 0) if causal else (reach, reach)
        self.dilated = nn.Conv1d(width, width, 3, dilation=reach)
        self.mix = nn.Conv1d(width, width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Track) -> Track:
        y = F.relu(self.dilated(F.pad(x, self.padding)))
        return x + self.dropout(self.mix(y))

    def step(self, x: Float[Tensor, "b c 1"], kept: Track) -> tuple[Tensor, Tensor]:
        """One frame of a causal layer, and the inputs (b, c, 2 reach) that the next one needs."""
        seen = torch.cat((kept, x), dim=2)
        return x + self.dropout(self.mix(F.relu(self.dilated(seen)))), seen[:, :, 1:]


class Stage(nn.Module):
    """Layers that look 1, 2, 4 ... frames far, and a classifier."""

    def __init__(
        self, wide_in: int, width: int, classes: int, layers: int, *, causal: bool, dropout: float
    ) -> None:
        super().__init__()
        self.enter = nn.Conv1d(wide_in, width, 1)
        self.layers = nn.Sequential(
            *(Dilated(width, 2**i, causal=causal, dropout=dropout) for i in range(layers))
        )
        self.out = nn.Conv1d(width, classes, 1)

    def forward(self, x: Track) -> Float[Tensor, "b k t"]:
        return self.out(self.layers(self.enter(x)))

    def step(
        self, x: Float[Tensor, "b d 1"], kept: Sequence[Tensor]
    ) -> tuple[Float[Tensor, "b k 1"], list[Tensor]]:
        """One frame, and what its layers keep."""
        x, after = self.enter(x), []
        for layer, before in zip(self.layers, kept, strict=True):
            x, now = layer.step(x, before)  # type: ignore[operator]
            after.append(now)
        return self.out(x), after


class MsTcn(nn.Module):
    """The first stage sees features, each further one the probabilities of the one before."""

    def __init__(
        self,
        *,
        wide_in: int,
        classes: int,
        width: int = 64,
        layers: int = 10,
        stages: int = 4,
        causal: bool = False,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            Stage(
                wide_in if i == 0 else classes,
                width,
                classes,
                layers,
                causal=causal,
                dropout=dropout,
            )
            for i in range(stages)
        )

    def forward(self, x: Track) -> Float[Tensor, "s b k t"]:
        answers = []
        for i, stage in enumerate(self.stages):
            x = stage(x if i == 0 else x.softmax(1))
            answers.append(x)
        return torch.stack(answers)

    def start(self) -> list[Tensor]:
        """What is kept before the first frame: zeros (1, c, 2 reach) for each layer."""
        convolutions = [layer.dilated for stage in self.stages for layer in stage.layers]  # type: ignore[union-attr]
        return [torch.zeros(1, c.in_channels, 2 * c.dilation[0]) for c in convolutions]

    def step(
        self, x: Float[Tensor, "b d 1"], kept: Sequence[Tensor]
    ) -> tuple[Float[Tensor, "b k 1"], list[Tensor]]:
        """One frame through all stages of a causal network, and what is kept for the next."""
        after: list[Tensor] = []
        layers = len(kept) // len(self.stages)
        for i, stage in enumerate(self.stages):
            own = kept[i * layers : (i + 1) * layers]
            x, now = stage.step(x if i == 0 else x.softmax(1), own)  # type: ignore[operator]
            after += now
        return x, after


@dataclass(frozen=True)
class Settings(SegmentSettings):
    """Smaller than published (4 stages of 10 layers, 64 channels), for videos of a minute."""


@model("ms_tcn", answers="Moments")
class MsTcnModel(SegmentModel):
    """Dilated convolutions along time."""

    def __init__(self, settings: Settings = Settings()) -> None:
        super().__init__(settings)

    def along_time(self, classes: int) -> nn.Module:
        s = self.settings
        return MsTcn(
            wide_in=s.width,
            classes=classes,
            width=s.width,
            layers=s.layers,
            stages=s.stages,
            causal=s.causal,
            dropout=s.dropout,
        )
