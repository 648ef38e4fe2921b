"""How a stereo network is trained; apart, so that the command line needs no torch to ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from triscope.kernel.config import require

NAMES = ("mvsnet", "mvsnet_refined", "rmvsnet", "rmvsnet_paper")


@dataclass(frozen=True)
class Settings:
    """How a network is trained."""

    steps: int = 20_000  # updates of the weights, one example each
    planes: int = 48  # depth planes of an example
    views: int = 3  # views of an example, the reference among them
    longest: int = 320  # pixels of the longer side that photos are shrunk to
    learning_rate: float = 1e-3  # the highest
    schedule: Literal["constant", "cosine", "drop"] = "cosine"  # of the learning rate
    warm_up: int = 100  # steps in which it grows
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"  # the rule of the updates
    clip: float = 1.0  # largest norm of the gradient
    widen: float = 0.3  # by up to which share the depth range is widened, drawn anew each time
    checkpoint_every: int = 200  # steps between checkpoints
    seed: int = 0  # of the order and of all that is drawn

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        require(
            self,
            steps=(self.steps >= 1, "1 or more"),
            planes=(self.planes >= 4, "4 or more"),
            views=(self.views >= 2, "2 or more"),
            longest=(self.longest >= 32, "32 or more"),
            widen=(0 <= self.widen < 0.9, "a share in [0, 0.9)"),
        )
