"""MixedSup: many labelled images, few of them drawn, one network of two heads, arXiv:2104.06064.

Segmentation is learned from the images that have masks; the decision from all, on top of it. The
weight moves from the first to the second during the training (section 3.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.errors import BadLabels
from triscope.kernel.catalogue import model
from triscope.kernel.config import require
from triscope.kernel.data import GOOD, Dataset, Split
from triscope.kernel.nn.stages import stages
from triscope.surface.changes import GENTLE
from triscope.surface.labelled import UNCHANGED, Batches, masked
from triscope.surface.models import _segmentation
from triscope.surface.models._distillation import conv, resized
from triscope.surface.models._supervised import Supervised
from triscope.surface.models.unet import Network as UNetNetwork
from triscope.surface.teachable import teachable


@dataclass(frozen=True)
class Settings(_segmentation.Settings):
    """What MixedSup is told."""

    widths: tuple[int, ...] = (128, 64, 48, 32, 16)  # of the way up, as in U-Net
    decision: float = 0.1  # weight of the decision loss (delta)
    balance: bool = True  # draw images of each class, and good ones, equally often

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        super().__post_init__()
        require(
            self,
            widths=(len(self.widths) == 5 and min(self.widths) > 0, "five, above 0"),
            decision=(self.decision > 0, "a number above 0"),
        )


class Network(nn.Module):
    """A segmentation network, and a decision on its features (stride 8) and its answer."""

    def __init__(self, body: UNetNetwork, width: int, classes: int) -> None:
        super().__init__()
        self.body = body
        self.decide = nn.Sequential(
            conv(width + classes, 32, 5, 2), conv(32, 32, 5, 2), conv(32, 32, 5)
        )
        self.head = nn.Linear(64 + 2 * classes, classes)

    def forward(
        self, images: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b c"]]:
        """Logits of the pixels and of the image."""
        features = self.body.features(images)
        logits = self.body.head(features[-1])
        # The decision must not teach the segmentation what it does not see (section 3.1).
        coarse = features[1].detach()  # stride 8
        small = resized(logits.detach(), coarse.shape[-2:])
        x = self.decide(torch.cat([coarse, small], 1))
        pooled = [x.amax((2, 3)), x.mean((2, 3)), small.amax((2, 3)), small.mean((2, 3))]
        return logits, self.head(torch.cat(pooled, 1))


class _Graph(nn.Module):
    """Logits of the pixels, and the chance that the image shows any defect."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(
        self, images: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b"]]:
        logits, decision = self.net(images)
        return logits, decision.sigmoid().amax(1)


@model("mixed", answers="Masks")
class Mixed(Supervised):
    """Image labels for all, masks for some."""

    names_images = True

    def __init__(self, settings: Settings = Settings()) -> None:
        super().__init__(settings)

    def build(self, classes: int) -> nn.Module:
        """The two-headed network on the backbone of the settings."""
        settings = self.settings
        body = stages(settings.backbone, settings.weights, settings.norm)
        return Network(UNetNetwork(body, settings.widths, classes), settings.widths[1], classes)

    def begin(self, data: Dataset) -> None:
        """Build the network; BadLabels where the images are all good or all defective."""
        if len(data) and len({sample.good for sample in data if sample.label}) < 2:
            raise BadLabels(
                f"mixed decides between good and defective images; {data.root or 'the data'} has "
                "only one of the two. Add the other, or fit 'unet' on the masks alone."
            )
        super().begin(data)

    def batches(self, data: Dataset, split: Split, seed: int) -> Batches:
        """Images with their labels, and masks where there are any."""
        settings = self.settings
        change = GENTLE if split == "train" and settings.augment else UNCHANGED
        size = (settings.size, settings.size)
        samples, problems = teachable(data, (*self.classes, GOOD), "label")
        return Batches(
            samples,
            masked(self.classes),
            size,
            settings.batch,
            seed,
            change,
            keep_aspect=False,
            problems=problems,
            balance=split == "train" and settings.balance,
        )

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """``(1 - t) * segmentation + t * delta * decision``, t the share of the training done."""
        done = float(self.parts.learned_batches) / self.settings.steps
        self.parts.learned_batches += 1
        logits, decision = self.net(batch["images"])
        pixels = _segmentation.mask_losses(logits, batch["masks"], batch["drawn"], self.settings)
        entropy = F.binary_cross_entropy_with_logits(decision, batch["labels"])
        t = min(1.0, done)
        loss = (1 - t) * pixels["loss"] + max(t, 0.05) * self.settings.decision * entropy
        return {**pixels, "loss": loss, "decision": entropy}

    def graph(self) -> nn.Module:
        """Logits of the pixels, and the score of the image; NotFitted before the training."""
        return _Graph(self.trained()).eval()
