"""Reverse distillation: a decoder restores the teacher's features from a code (arXiv:2201.10703).

Deng, Li: Anomaly Detection via Reverse Distillation from One-Class Embedding, CVPR 2022.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.kernel.catalogue import model
from triscope.kernel.config import require
from triscope.kernel.nn.tap import tap
from triscope.surface.models._distillation import (
    Blur,
    Parts,
    Residual,
    conv,
    halvings,
    highest,
    resized,
    seeded,
)


@dataclass(frozen=True)
class Settings:
    """The numbers of section 4.1, where nothing else is said."""

    size: int = 256  # side of the square that images are resized to, in pixels
    backbone: str = "scattering"  # teacher: scattering (needs no download) or any timm name
    weights: str = ""  # file of the teacher's weights; empty: the hub or none needed
    layers: tuple[
        int, ...
    ] = ()  # taps of the teacher; empty: ResNet's conv2_x to conv4_x (1, 2, 3)
    blocks: int = 1  # residual blocks a stage (paper: those of the teacher, 3 to 6)
    sigma: float = 4.0  # of the Gaussian blur of the map, in pixels; 0: none
    steps: int = 300  # updates (paper: 200 epochs, some 2600 of 16 images for a category)
    batch: int = 8  # images an update (paper: 16)
    learning_rate: float = 0.005  # of Adam
    momentum: float = 0.5  # first beta of Adam
    weight_decay: float = 0.0  # of Adam
    optimizer: Literal["sgd", "adam", "adamw"] = "adam"  # rule of the updates
    schedule: Literal["constant", "cosine", "drop"] = "constant"  # of the learning rate
    seed: int = 0  # of the first weights and of the order of the images

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        require(
            self,
            size=(self.size >= 32, "32 or more"),
            blocks=(self.blocks >= 1, "1 or more"),
            sigma=(self.sigma >= 0, "0 or more"),
            steps=(self.steps >= 1, "1 or more"),
            batch=(self.batch >= 1, "1 or more"),
            learning_rate=(self.learning_rate > 0, "a number above 0"),
            momentum=(0 <= self.momentum < 1, "a number in [0, 1)"),
            weight_decay=(self.weight_decay >= 0, "0 or more"),
        )


@model("reverse_distillation", answers="Heatmap")
class ReverseDistillation:
    """Where the features that a decoder restores from a narrow code differ from the teacher's."""

    def __init__(self, settings: Settings = Settings()) -> None:
        self.settings = settings
        usual = () if settings.backbone == "scattering" else (1, 2, 3)
        teacher = tap(settings.backbone, settings.weights, settings.layers or usual)
        channels, strides = teacher.channels, teacher.strides
        with seeded(settings.seed):
            learned = {
                "bottleneck": Bottleneck(channels, strides, settings.blocks),
                "decoder": Decoder(channels, strides, settings.blocks),
            }
        self.parts = Parts(frozen={"teacher": teacher}, learned=learned)

    def network(self) -> nn.Module:
        """Teacher (frozen), bottleneck and decoder."""
        return self.parts

    def losses(self, images: Float[Tensor, "b 3 h w"]) -> dict[str, Tensor]:
        """The cosine distances of each level, averaged over places, added up (eq. 2)."""
        self.parts.learned_batches += 1
        losses = {f"level_{i}": heat.mean() for i, heat in enumerate(distances(self.parts, images))}
        return {"loss": torch.stack(list(losses.values())).sum(), **losses}

    def graph(self) -> nn.Module:
        """Images in, heat map and score out; NotFitted before the training."""
        self.parts.must_be_trained("reverse_distillation")
        return _Graph(self.parts, self.settings.sigma).eval()

    def weights(self) -> dict[str, Tensor]:
        """Teacher, bottleneck and decoder."""
        return self.parts.weights()

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Put the result of ``weights`` back."""
        self.parts.restore("reverse_distillation", weights)


class _Graph(nn.Module):
    """The sum of the levels' maps at image size, blurred (eq. 3); the score is its maximum."""

    def __init__(self, parts: nn.ModuleDict, sigma: float) -> None:
        super().__init__()
        self.parts, self.blur = parts, Blur(sigma)

    def forward(
        self, images: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "b h w"], Float[Tensor, "b"]]:
        heat = torch.zeros_like(images[:, :1])  # (b, 1, h, w)
        for level in distances(self.parts, images):
            heat = heat + resized(level, images.shape[-2:])
        blurred = self.blur(heat.squeeze(1))
        return blurred, highest(blurred)


def distances(
    parts: nn.ModuleDict, images: Float[Tensor, "b 3 h w"]
) -> list[Float[Tensor, "b 1 i j"]]:
    """Per level one minus the cosine of the teacher's and the decoder's vector at each place."""
    with torch.no_grad():
        taught = parts["teacher"](images)
    code = parts["bottleneck"](taught)
    restored = parts["decoder"](code, [level.shape[-2:] for level in taught])
    return [
        1 - F.cosine_similarity(t, s, dim=1).unsqueeze(1)
        for t, s in zip(taught, restored, strict=True)
    ]


class Bottleneck(nn.Module):
    """Multi-scale feature fusion and one-class embedding (section 3.3, figure 4).

    Each level comes to the size of the last one by 3x3 convolutions of stride 2, the levels are
    joined by a 1x1 convolution, and a residual stage of stride 2 compresses them to the code.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int], blocks: int) -> None:
        super().__init__()
        last = channels[-1]
        self.align = nn.ModuleList(
            _shrink(c, last, halvings(strides[-1] / s))
            for c, s in zip(channels[:-1], strides[:-1], strict=True)
        )
        self.fuse = conv(last * len(channels), last, kernel=1)
        self.embed = stage(last, 2 * last, 2, blocks)

    def forward(self, levels: list[Float[Tensor, "b _ _ _"]]) -> Float[Tensor, "b d i j"]:
        size = levels[-1].shape[-2:]
        aligned = [
            resized(align(level), size) for align, level in zip(self.align, levels, strict=False)
        ]
        return self.embed(self.fuse(torch.cat([*aligned, levels[-1]], 1)))


class Decoder(nn.Module):
    """The encoder mirrored: from the code to the channels and size of each level, last first."""

    def __init__(self, channels: Sequence[int], strides: Sequence[int], blocks: int) -> None:
        super().__init__()
        before, reached = 2 * channels[-1], 2 * strides[-1]
        stages: list[nn.Module] = []
        for width, stride in zip(reversed(channels), reversed(strides), strict=True):
            stages.append(_Grow(before, width, max(1, round(reached / stride)), blocks))
            before, reached = width, stride
        self.stages = nn.ModuleList(stages)

    def forward(
        self, code: Float[Tensor, "b d i j"], sizes: Sequence[Sequence[int]]
    ) -> list[Float[Tensor, "b _ _ _"]]:
        levels, x = [], code
        for grow, size in zip(self.stages, reversed(sizes), strict=True):
            x = grow(x, size)
            levels.append(x)
        return levels[::-1]


class _Grow(nn.Module):
    """A transposed convolution in place of the encoder's stride, then residual blocks.

    The last operation is a convolution without ReLU, since features of a teacher have both signs.
    """

    def __init__(self, before: int, after: int, ratio: int, blocks: int) -> None:
        super().__init__()
        self.up = nn.Sequential(
            nn.ConvTranspose2d(before, after, ratio, ratio, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        )
        self.body = stage(after, after, 1, blocks)
        self.out = nn.Conv2d(after, after, 1)

    def forward(self, x: Float[Tensor, "b c i j"], size: Sequence[int]) -> Tensor:
        return self.out(self.body(resized(self.up(x), size)))


def stage(before: int, after: int, stride: int, blocks: int) -> nn.Sequential:
    """Residual blocks, the first one with the stride."""
    rest = [Residual(after, after) for _ in range(blocks - 1)]
    return nn.Sequential(Residual(before, after, stride), *rest)


def _shrink(before: int, after: int, steps: int) -> nn.Sequential:
    """3x3 convolutions of stride 2 (one of stride 1 where the size is right already)."""
    if not steps:
        return conv(before, after)
    widths = [before, *(min(after, before * 2 ** (i + 1)) for i in range(steps - 1)), after]
    return nn.Sequential(*(conv(a, b, 3, 2) for a, b in itertools.pairwise(widths)))
