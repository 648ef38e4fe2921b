"""STFPM: a student learns the teacher's feature pyramid on good images (arXiv:2103.04257).

Wang, Han, Ding, Huang: Student-Teacher Feature Pyramid Matching for Anomaly Detection, BMVC 2021.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.kernel.catalogue import model
from triscope.kernel.config import require
from triscope.kernel.nn.tap import Tap, tap
from triscope.surface.models._distillation import (
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
    steps: int = 400  # updates (paper: 100 epochs, some 650 of 32 images for a category)
    batch: int = 8  # images an update (paper: 32)
    learning_rate: float = 0.4  # of stochastic gradient descent
    momentum: float = 0.9  # of stochastic gradient descent
    weight_decay: float = 1e-4  # of stochastic gradient descent
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"  # rule of the updates
    schedule: Literal["constant", "cosine", "drop"] = "constant"  # of the learning rate
    seed: int = 0  # of the student's first weights and of the order of the images

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        require(
            self,
            size=(self.size >= 32, "32 or more"),
            steps=(self.steps >= 1, "1 or more"),
            batch=(self.batch >= 1, "1 or more"),
            learning_rate=(self.learning_rate > 0, "a number above 0"),
            momentum=(0 <= self.momentum < 1, "a number in [0, 1)"),
            weight_decay=(self.weight_decay >= 0, "0 or more"),
        )


@model("stfpm", answers="Heatmap")
class Stfpm:
    """Where the student, who saw only good images, fails to predict the teacher's features."""

    def __init__(self, settings: Settings = Settings()) -> None:
        self.settings = settings
        teacher = teacher_of(settings.backbone, settings.weights, settings.layers)
        with seeded(settings.seed):
            student = student_of(settings.backbone, teacher, settings.layers)
        self.parts = Parts(frozen={"teacher": teacher}, learned={"student": student})

    def network(self) -> nn.Module:
        """Teacher (frozen) and student."""
        return self.parts

    def losses(self, images: Float[Tensor, "b 3 h w"]) -> dict[str, Tensor]:
        """Half the squared distance of unit feature vectors, averaged over places (eq. 1 to 3)."""
        self.parts.learned_batches += 1
        maps = distances(self.parts["teacher"], self.parts["student"], images)
        losses = {f"level_{i}": heat.mean() for i, heat in enumerate(maps)}
        return {"loss": torch.stack(list(losses.values())).sum(), **losses}

    def graph(self) -> nn.Module:
        """Images in, heat map and score out; NotFitted before the training."""
        self.parts.must_be_trained("stfpm")
        return _Graph(self.parts["teacher"], self.parts["student"]).eval()

    def weights(self) -> dict[str, Tensor]:
        """Teacher and student."""
        return self.parts.weights()

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Put the result of ``weights`` back."""
        self.parts.restore("stfpm", weights)


class _Graph(nn.Module):
    """The product of the levels' distance maps at image size (eq. 4); the score is its maximum."""

    def __init__(self, teacher: nn.Module, student: nn.Module) -> None:
        super().__init__()
        self.teacher, self.student = teacher, student

    def forward(
        self, images: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "b h w"], Float[Tensor, "b"]]:
        size = images.shape[-2:]
        heat = torch.ones_like(images[:, :1])  # (b, 1, h, w)
        for level in distances(self.teacher, self.student, images):
            heat = heat * resized(level, size)
        heat = heat.squeeze(1)
        return heat, highest(heat)


def distances(
    teacher: nn.Module, student: nn.Module, images: Float[Tensor, "b 3 h w"]
) -> list[Float[Tensor, "b 1 i j"]]:
    """Per level ``|t/|t| - s/|s||^2 / 2`` at each place, in [0, 2]."""
    with torch.no_grad():
        taught = teacher(images)
    maps = []
    for t, s in zip(taught, student(images), strict=True):
        s = resized(s, t.shape[-2:])  # the same size already, unless the paddings differ
        difference = F.normalize(t, dim=1) - F.normalize(s, dim=1)
        maps.append(0.5 * difference.square().sum(1, keepdim=True))
    return maps


def teacher_of(backbone: str, weights: str, layers: Sequence[int]) -> Tap:
    """The frozen tap; the levels of the papers (1, 2, 3) where none are asked for."""
    usual = () if backbone == "scattering" else (1, 2, 3)
    return tap(backbone, weights, tuple(layers) or usual)


def student_of(backbone: str, teacher: Tap, layers: Sequence[int]) -> nn.Module:
    """An untrained network of the teacher's architecture, or a plain one where that has none."""
    if backbone == "scattering":
        return PlainStudent(teacher.channels, teacher.strides)
    import timm

    return _TimmStudent(
        timm.create_model(
            backbone, pretrained=False, features_only=True, out_indices=tuple(layers) or (1, 2, 3)
        )
    )


class _TimmStudent(nn.Module):
    """A timm network; its images are brought to about zero mean and unit spread first."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        return list(self.body((images - 0.5) / 0.25))


class PlainStudent(nn.Module):
    """Residual blocks down to each level, and a 1x1 convolution to the teacher's channels there."""

    def __init__(self, channels: Sequence[int], strides: Sequence[int]) -> None:
        super().__init__()
        widths = [min(256, max(32, 8 * stride)) for stride in strides]
        self.stages = nn.ModuleList()
        self.heads = nn.ModuleList()
        before, reached = 3, 1
        for level, stride in enumerate(strides):
            width, steps = widths[level], halvings(stride / reached)
            blocks: list[nn.Module] = [conv(before, width)] if before == 3 else []
            start = width if before == 3 else before
            for step in range(max(1, steps)):
                blocks.append(Residual(start if step == 0 else width, width, 2 if steps else 1))
            self.stages.append(nn.Sequential(*blocks))
            self.heads.append(nn.Conv2d(width, channels[level], 1))
            before, reached = width, reached * 2**steps

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        x = (images - 0.5) / 0.25
        levels = []
        for stage, head in zip(self.stages, self.heads, strict=True):
            x = stage(x)
            levels.append(head(x))
        return levels
