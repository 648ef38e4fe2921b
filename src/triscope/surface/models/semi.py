"""Mean teacher: few drawn defects and many unlabelled parts, arXiv:1703.01780.

The teacher is the running mean of the student. Where nothing is drawn, the student is asked to
answer a disturbed image as the teacher answers the plain one.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from triscope.kernel.catalogue import model
from triscope.kernel.config import require
from triscope.kernel.data import Dataset, Sample, Split
from triscope.kernel.nn.stages import stages
from triscope.surface.changes import GENTLE
from triscope.surface.labelled import UNCHANGED, Batches, masked
from triscope.surface.models import _segmentation
from triscope.surface.models._distillation import Parts, seeded
from triscope.surface.models._supervised import Supervised
from triscope.surface.models.unet import Network


@dataclass(frozen=True)
class Settings(_segmentation.Settings):
    """What the mean teacher is told."""

    widths: tuple[int, ...] = (128, 64, 48, 32, 16)  # of the way up, as in U-Net
    decay: float = 0.99  # of the teacher's running mean
    consistency: float = 10.0  # weight of the consistency, once it has grown
    ramp: float = 0.25  # share of the steps in which that weight grows
    noise: float = 0.05  # spread of the noise on the student's images

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        super().__post_init__()
        require(
            self,
            widths=(len(self.widths) == 5 and min(self.widths) > 0, "five, above 0"),
            decay=(0 <= self.decay < 1, "a number in [0, 1)"),
            consistency=(self.consistency >= 0, "0 or more"),
            ramp=(0 < self.ramp <= 1, "a share in (0, 1]"),
            noise=(self.noise >= 0, "0 or more"),
        )


@model("semi", answers="Masks")
class Semi(Supervised):
    """Half of each batch is drawn or good, the other half is anything."""

    border = "reflect"

    def __init__(self, settings: Settings = Settings()) -> None:
        super().__init__(settings)

    def build(self, classes: int) -> nn.Module:
        """A U-Net on the backbone of the settings."""
        settings = self.settings
        body = stages(settings.backbone, settings.weights, settings.norm)
        return Network(body, settings.widths, classes)

    def _build(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        with seeded(self.settings.seed):
            student = self.build(len(classes))
        teacher = copy.deepcopy(student)
        self.parts = Parts(frozen={"teacher": teacher}, learned={"net": student})

    def batches(self, data: Dataset, split: Split, seed: int) -> Batches:
        """Drawn and other images in turn; each is as often seen as the other."""
        settings = self.settings
        change = GENTLE if split == "train" and settings.augment else UNCHANGED
        size = (settings.size, settings.size)
        samples = balanced(data.samples) if split == "train" else data.samples
        seen = self.seen(change)
        return Batches(samples, masked(self.classes), size, settings.batch, seed, seen, False)

    def network(self) -> nn.Module:
        """The student learns; the teacher follows."""
        self.net.requires_grad_(True)
        return self.parts

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """Dice and focal loss where drawn, squared distance to the teacher everywhere."""
        self._follow()
        settings, images = self.settings, batch["images"]
        student = self.net(disturbed(images, settings.noise))
        with torch.no_grad():
            taught = self.parts["teacher"](images).sigmoid()
        own = _segmentation.mask_losses(student, batch["masks"], batch["drawn"], settings)
        distance = (student.sigmoid() - taught).square().mean()
        loss = own["loss"] + self._weight() * distance
        self.parts.learned_batches += 1
        return {**own, "loss": loss, "consistency": distance}

    def graph(self) -> nn.Module:
        """The teacher answers; NotFitted before the training."""
        self.trained()
        return self.parts["teacher"].eval()

    def _weight(self) -> float:
        """Grows as ``exp(-5 (1 - t)^2)`` over the ramp (section 3)."""
        t = min(1.0, float(self.parts.learned_batches) / (self.settings.ramp * self.settings.steps))
        return float(self.settings.consistency * math.exp(-5 * (1 - t) ** 2))

    @torch.no_grad()
    def _follow(self) -> None:
        """The teacher's weights move to the student's; at first quickly (section 2)."""
        step = float(self.parts.learned_batches)
        decay = min(self.settings.decay, 1 - 1 / (step + 1))
        teacher = self.parts["teacher"]
        for old, new in zip(teacher.parameters(), self.net.parameters(), strict=True):
            old.lerp_(new, 1 - decay)
        for kept, seen in zip(teacher.buffers(), self.net.buffers(), strict=True):
            kept.copy_(seen)


def disturbed(images: Float[Tensor, "b 3 h w"], noise: float) -> Float[Tensor, "b 3 h w"]:
    """Brighter or darker as a whole, with noise on each pixel."""
    factor = 1 + 0.2 * (2 * torch.rand(len(images), 1, 1, 1, device=images.device) - 1)
    return (images * factor + noise * torch.randn_like(images)).clamp(0, 1)


def balanced(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """The samples with the rarer kind (drawn or not) repeated until both are as many."""
    drawn = [sample for sample in samples if sample.mask is not None]
    others = [sample for sample in samples if sample.mask is None]
    if not drawn or not others:
        return tuple(samples)
    most = max(len(drawn), len(others))
    rows = [*(drawn * math.ceil(most / len(drawn)))[:most]]
    return (*rows, *(others * math.ceil(most / len(others)))[:most])
