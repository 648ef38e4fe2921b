"""What the segmentation networks share: settings, losses, batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.errors import BadLabels
from triscope.kernel.config import require
from triscope.kernel.data import Dataset, Split
from triscope.surface.changes import GENTLE
from triscope.surface.labelled import UNCHANGED, Batches, masked
from triscope.surface.models._supervised import Supervised, why
from triscope.surface.teachable import teachable

Logits = Float[Tensor, "b c h w"]


@dataclass(frozen=True)
class Settings:
    """What all segmentation networks are told."""

    classes: tuple[str, ...] = ()  # names of the defects; empty: those of the data
    backbone: str = "mobilenetv2_100"  # any timm backbone of four stages
    weights: str = ""  # its file; random:SEED for tests; empty: the weights folder, or timm's
    norm: Literal["frozen", "batch"] = "batch"  # whether its batch norms keep their statistics
    size: int = 320  # pixels of a side of the input
    focal: float = 1.0  # weight of the focal loss beside the Dice loss
    gamma: float = 2.0  # how much the focal loss turns to hard pixels
    augment: bool = True  # flips, turns, shifts and light, drawn anew for each image
    steps: int = 2000  # updates
    batch: int = 8  # images an update
    learning_rate: float = 1e-3  # highest of the schedule
    weight_decay: float = 1e-4  # of the optimizer
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
            size=(self.size >= 32, "32 or more"),
            focal=(self.focal >= 0, "0 or more"),
            gamma=(self.gamma >= 0, "0 or more"),
            steps=(self.steps >= 1, "1 or more"),
            batch=(self.batch >= 1, "1 or more"),
            learning_rate=(self.learning_rate > 0, "a number above 0"),
        )


class Segmenter(Supervised):
    """Learns masks; one map of logits a class, each by itself."""

    border = "reflect"

    def begin(self, data: Dataset) -> None:
        """Build the network; BadLabels where no image has a mask."""
        if len(data) and not any(sample.mask is not None for sample in data):
            raise BadLabels(
                f"{self.model_name} learns from masks, but none of the {len(data)} images of "
                f"{data.root or 'the data'} has one. 'triscope data show' tells what was "
                f"recognised; 'classifier' learns from labels alone.{why(data)}"
            )
        super().begin(data)

    def batches(self, data: Dataset, split: Split, seed: int) -> Batches:
        """Images with their masks."""
        settings = self.settings
        change = GENTLE if split == "train" and settings.augment else UNCHANGED
        size = (settings.size, settings.size)
        samples, problems = teachable(data, self.classes, "mask")
        return Batches(
            samples,
            masked(self.classes),
            size,
            settings.batch,
            seed,
            self.seen(change),
            keep_aspect=False,
            problems=problems,
            balance=split == "train" and settings.balance,
        )

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """Dice and focal loss of the drawn images."""
        self.parts.learned_batches += 1
        return mask_losses(self.net(batch["images"]), batch["masks"], batch["drawn"], self.settings)

    @torch.inference_mode()
    def score(self, data: Dataset) -> float:
        """Dice of all held-out pixels together."""
        net = self.trained()
        shared = total = 0.0
        for batch in self.held_out(data):
            found = net(batch["images"])
            found = (found[0] if isinstance(found, tuple) else found) > 0
            truth = batch["masks"] > 0.5
            shared += float((found & truth).sum())
            total += float(found.sum() + truth.sum())
        return 2 * shared / total if total else 1.0

    def graph(self) -> nn.Module:
        """Images in, logits out; NotFitted before the training."""
        return self.trained()


def mask_losses(
    logits: Logits, masks: Logits, drawn: Bool[Tensor, "b"], settings: Settings
) -> dict[str, Tensor]:
    """Dice over the batch (arXiv:1606.04797) plus focal loss (arXiv:1708.02002), drawn images."""
    if not bool(drawn.any()):
        nothing = logits.sum() * 0
        return {"loss": nothing, "dice": nothing, "focal": nothing}
    logits, masks = logits[drawn].float(), masks[drawn]  # half floats are too coarse to sum
    dice = dice_loss(logits, masks)
    focal = focal_loss(logits, masks, settings.gamma)
    return {"loss": dice + settings.focal * focal, "dice": dice, "focal": focal}


def dice_loss(logits: Logits, masks: Logits) -> Float[Tensor, ""]:
    """One minus the Dice coefficient of each class over all images, averaged.

    Of the classes that the batch shows: of the others, whose coefficient is near 0 however small
    the chance is, a small batch has so many that nothing would ever be found.
    """
    shown = masks.amax((0, 2, 3)) > 0
    if not bool(shown.any()):
        return logits.sum() * 0
    chance, masks = logits.sigmoid()[:, shown], masks[:, shown]
    shared = (chance * masks).sum((0, 2, 3))
    total = chance.sum((0, 2, 3)) + masks.sum((0, 2, 3))
    return (1 - (2 * shared + 1) / (total + 1)).mean()


def focal_loss(logits: Logits, masks: Logits, gamma: float) -> Float[Tensor, ""]:
    """Binary cross-entropy, each pixel by how wrong it is; scaled to the share of defects.

    Each class to its own share, or small defects would be outweighed by large ones of another
    class; a class that the batch does not show counts as if it covered one pixel in a hundred.
    """
    entropy = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    wrong = (logits.sigmoid() - masks).abs()
    each = (wrong**gamma * entropy).sum((0, 2, 3))
    cover = masks.sum((0, 2, 3))
    hundredth = 0.01 * masks[:, 0].numel()
    return (each / torch.where(cover > 0, cover, hundredth)).mean()
