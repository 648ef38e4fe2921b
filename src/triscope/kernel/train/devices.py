"""Lightning Fabric for the devices that a plan asks for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from triscope.errors import TrainingError, needs_extra
from triscope.kernel.protocols import LearnsByGradient
from triscope.kernel.train.plan import Plan


def fabric_of(plan: Plan) -> Any:
    """Fabric for the devices of the plan; raises TrainingError where they cannot be had."""
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise needs_extra("training", "train", "lightning-fabric") from error
    try:
        return Fabric(
            accelerator=plan.accelerator,
            devices=plan.devices,
            precision=plan.precision,
            strategy=_several() if plan.devices > 1 else "auto",
        )
    except Exception as error:  # Fabric has its own kinds for devices that are not there
        asked = f"accelerator={plan.accelerator}, devices={plan.devices}"
        raise TrainingError(f"{asked} cannot be had here: {error}") from error


def _several() -> Any:
    """Parts without a gradient in a step are common: a model may train them one after the other."""
    from lightning_fabric.strategies.ddp import DDPStrategy

    if torch.distributed.is_torchelastic_launched():
        return DDPStrategy(start_method="popen", find_unused_parameters=True)
    return DDPStrategy(start_method="spawn", find_unused_parameters=True)


class Losses(nn.Module):
    """The model's losses behind ``forward``: several processes share gradients of calls to it."""

    def __init__(self, model: LearnsByGradient) -> None:
        super().__init__()
        self.network = model.network()
        self._model = (model,)  # in a tuple: a model that is a module itself is not entered twice

    def forward(self, batch: Any) -> dict[str, Tensor]:
        """The parts of the loss of one batch."""
        return dict(self._model[0].losses(batch))
