"""Classify parts by their whole image, with and without fused levels, doi:10.1109/TIM.2019.2915404.

The first step of DDN (its NEU-CLS experiment) as a model of its own. Class-activation maps
(arXiv:1512.04150) are the evidence: where in the image each class was seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.kernel.catalogue import model
from triscope.kernel.config import require
from triscope.kernel.data import Dataset, Split
from triscope.kernel.nn.stages import Stages, stages
from triscope.surface.changes import GENTLE
from triscope.surface.labelled import UNCHANGED, Batches, named
from triscope.surface.models._necks import MultilevelFusion, Neck, Single
from triscope.surface.models._supervised import Supervised
from triscope.surface.teachable import teachable


@dataclass(frozen=True)
class Settings:
    """What the classifier is told."""

    classes: tuple[str, ...] = ()  # names; empty: those of the data ("good" is one of them)
    backbone: str = "mobilenetv2_100"  # any timm backbone of four stages
    weights: str = ""  # its file; random:SEED for tests; empty: the weights folder, or timm's
    norm: Literal["frozen", "batch"] = "batch"  # whether its batch norms keep their statistics
    fusion: bool = True  # fuse the levels (MFN); no: the last level alone
    width: int = 128  # channels of each fused level
    size: int = 224  # pixels of a side of the input
    smoothing: float = 0.1  # share of the label that is spread over the other classes
    augment: bool = True  # flips, turns, shifts and light, drawn anew for each image
    steps: int = 2000  # updates
    batch: int = 16  # images an update
    learning_rate: float = 1e-3  # highest of the schedule
    weight_decay: float = 1e-2  # of the optimizer
    optimizer: Literal["sgd", "adam", "adamw"] = "adamw"  # rule of the updates
    schedule: Literal["constant", "cosine", "drop"] = "cosine"  # of the learning rate
    warm_up: int = 50  # steps in which the learning rate grows
    clip: float = 5.0  # largest norm of the gradient
    accumulate: int = 1  # batches an update
    precision: Literal["32-true", "bf16-mixed"] = "32-true"  # numbers of the forward pass
    score_every: int = 0  # steps between looks at the held-out images; 0: keep the last weights
    patience: int = 0  # stop after so many looks without a better score; 0: never
    ema: float = 0.0  # decay of the running mean of the weights that is kept; 0: none
    tensorboard: bool = False  # write the losses for TensorBoard too (fit: --logs)
    seed: int = 0  # of new layers and of the augmentation

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        require(
            self,
            width=(self.width >= 1, "1 or more"),
            size=(self.size >= 32, "32 or more"),
            smoothing=(0 <= self.smoothing < 1, "a share in [0, 1)"),
            steps=(self.steps >= 1, "1 or more"),
            batch=(self.batch >= 1, "1 or more"),
            learning_rate=(self.learning_rate > 0, "a number above 0"),
        )


class Network(nn.Module):
    """Stages, fused or not, global average pooling, one linear layer."""

    def __init__(self, body: Stages, neck: Neck, classes: int) -> None:
        super().__init__()
        self.stages, self.neck = body, neck
        self.head = nn.Linear(neck.out, classes)

    def forward(
        self, images: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "b c"], Float[Tensor, "b c i j"]]:
        """Logits, and the map whose mean they are (but for the bias)."""
        x = self.neck(self.stages(images))[0]
        cam = F.conv2d(x, self.head.weight[..., None, None])  # pooling and head are linear
        return cam.mean((2, 3)) + self.head.bias, cam


@model("classifier", answers="Label")
class Classifier(Supervised):
    """Learns from one label an image; a class called ``good`` is one of the classes."""

    learns_good = True
    names_images = True

    def __init__(self, settings: Settings = Settings()) -> None:
        super().__init__(settings)

    def build(self, classes: int) -> nn.Module:
        """The network on the backbone of the settings."""
        settings = self.settings
        body = stages(settings.backbone, settings.weights, settings.norm)
        neck: Neck = Single(body.channels, level=5)
        if settings.fusion:
            neck = MultilevelFusion(body.channels, width=settings.width)
        return Network(body, neck, classes)

    def batches(self, data: Dataset, split: Split, seed: int) -> Batches:
        """Images with the number of their class."""
        settings = self.settings
        change = GENTLE if split == "train" and settings.augment else UNCHANGED
        size = (settings.size, settings.size)
        samples, problems = teachable(data, self.classes, "label")
        return Batches(
            samples,
            named(self.classes),
            size,
            settings.batch,
            seed,
            change,
            keep_aspect=False,
            problems=problems,
        )

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """Cross-entropy with smoothed labels."""
        self.parts.learned_batches += 1
        logits, _ = self.net(batch["images"])
        smoothing = self.settings.smoothing
        loss = F.cross_entropy(logits, batch["labels"], label_smoothing=smoothing)
        right = (logits.argmax(1) == batch["labels"]).float().mean()
        return {"loss": loss, "accuracy": right}

    @torch.inference_mode()
    def score(self, data: Dataset) -> float:
        """Share of the held-out images that are named rightly."""
        net = self.trained()
        hits = [net(b["images"])[0].argmax(1) == b["labels"] for b in self.held_out(data)]
        return float(torch.cat(hits).float().mean())

    def graph(self) -> nn.Module:
        """Logits and class-activation maps; NotFitted before the training."""
        return self.trained()
