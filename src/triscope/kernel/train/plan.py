"""What a training runs by: its length, its step size, where it runs."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Literal

from torch import nn, optim

from triscope.errors import TrainingError
from triscope.kernel.config import require


@dataclass(frozen=True)
class Plan:
    """All that the loop needs to know beside the model and the batches."""

    steps: int  # updates of the weights
    batch: int = 8  # images an update on one device, before accumulation
    learning_rate: float = 1e-3  # the highest of the schedule
    weight_decay: float = 0.0  # of the optimizer
    optimizer: Literal["adam", "adamw", "sgd"] = "adamw"  # the rule of the updates
    momentum: float = 0.9  # momentum of sgd, first beta of adam and adamw
    schedule: Literal["constant", "cosine", "drop"] = "constant"  # drop: a tenth after drop_at
    drop_at: float = 0.95  # share of the steps after which "drop" drops
    warm_up: int = 0  # steps in which the learning rate grows from near 0
    precision: Literal["32-true", "bf16-mixed"] = "32-true"  # numbers of the forward pass
    accumulate: int = 1  # batches an update
    clip: float = 0.0  # largest norm of the gradient; 0: no limit
    ema: float = 0.0  # decay of the running mean of the weights that is kept; 0: the last weights
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"  # auto: a GPU where there is one
    devices: int = 1  # processes; the batch of each is `batch`
    seed: int = 0  # of the order and of whatever the losses draw
    checkpoint_every: int = 0  # steps between checkpoints; 0: only on Ctrl-C and at the end
    score_every: int = 0  # steps between calls of the score; 0: never
    patience: int = 0  # stop after so many scores without a better one; 0: never
    tensorboard: bool = False  # also write the losses for TensorBoard

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        share = "a number in [0, 1)"
        whole = "0 or more"
        require(
            self,
            steps=(self.steps >= 1, "1 or more"),
            batch=(self.batch >= 1, "1 or more"),
            learning_rate=(0 < self.learning_rate < math.inf, "a number above 0"),
            weight_decay=(self.weight_decay >= 0, whole),
            optimizer=(self.optimizer in ("adam", "adamw", "sgd"), "adam, adamw or sgd"),
            momentum=(0 <= self.momentum < 1, share),
            schedule=(
                self.schedule in ("constant", "cosine", "drop"),
                "constant, cosine or drop",
            ),
            drop_at=(0 < self.drop_at <= 1, "a share in (0, 1]"),
            warm_up=(0 <= self.warm_up <= self.steps, f"0 to {self.steps}, the steps there are"),
            precision=(self.precision in ("32-true", "bf16-mixed"), "32-true or bf16-mixed"),
            accumulate=(self.accumulate >= 1, "1 or more"),
            clip=(self.clip >= 0, whole),
            ema=(0 <= self.ema < 1, share),
            accelerator=(self.accelerator in ("auto", "cpu", "gpu"), "auto, cpu or gpu"),
            devices=(self.devices >= 1, "1 or more"),
            checkpoint_every=(self.checkpoint_every >= 0, whole),
            score_every=(self.score_every >= 0, whole),
            patience=(self.patience >= 0, whole),
        )

    @classmethod
    def of(cls, settings: Any, **changes: Any) -> Plan:
        """The plan that a model's Settings ask for: the fields that both have; changes on top.

        ``Plan.of(model.settings, devices=2)``
        """
        shared = {
            f.name: getattr(settings, f.name) for f in fields(cls) if hasattr(settings, f.name)
        }
        return cls(**{**shared, **changes})

    def rate(self, step: int) -> float:
        """The learning rate of the update that follows ``step`` finished ones."""
        if step < self.warm_up:
            return self.learning_rate * (step + 1) / (self.warm_up + 1)
        if self.schedule == "cosine":
            done = (step - self.warm_up) / max(1, self.steps - self.warm_up)
            return self.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
        if self.schedule == "drop" and step >= self.drop_at * self.steps:
            return self.learning_rate * 0.1
        return self.learning_rate


# What may differ between the plan of a checkpoint and the plan that goes on from it.
FREE = ("accelerator", "checkpoint_every", "tensorboard", "patience")


def optimizer_of(plan: Plan, network: nn.Module) -> optim.Optimizer:
    """The optimizer of the plan over the parameters with ``requires_grad``."""
    learned = [p for p in network.parameters() if p.requires_grad]
    if not learned:
        raise TrainingError(
            f"{type(network).__name__} has no parameter with requires_grad: nothing to learn. "
            "network() returns the module whose parameters are learned."
        )
    rate, decay = plan.learning_rate, plan.weight_decay
    if plan.optimizer == "sgd":
        return optim.SGD(learned, rate, momentum=plan.momentum, weight_decay=decay)
    kind = optim.Adam if plan.optimizer == "adam" else optim.AdamW
    return kind(learned, rate, betas=(plan.momentum, 0.999), weight_decay=decay)
