"""How a network is fine-tuned, and how a head learns words; read without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from triscope.kernel.config import require

Part = Literal["decoder", "lora", "full"]


@dataclass(frozen=True)
class Settings:
    """How a network is fine-tuned on own masks."""

    part: Part = "decoder"  # what learns: decoder, lora (small additions to the encoder), full
    steps: int = 200  # updates of the weights
    batch: int = 2  # images a step
    masks: int = 4  # masks an image; drawn again where there are fewer
    learning_rate: float = 1e-4  # the highest of the schedule
    rank: int = 4  # of the additions of lora
    clicks: int = 2  # correcting clicks after the first prompt; 8 is published
    rounds_without: int = 1  # rounds that only bring the mask back; 2 is published
    seed: int = 0  # of the order of the images and of the prompts

    def __post_init__(self) -> None:
        counts = ("steps", "batch", "masks", "rank")
        require(
            self,
            part=(self.part in ("decoder", "lora", "full"), "decoder, lora or full"),
            learning_rate=(self.learning_rate > 0, "a number above 0"),
            **{name: (getattr(self, name) >= 1, "1 or more") for name in counts},
        )


@dataclass(frozen=True)
class WordSettings:
    """How a head learns to turn what CLIP sees into prompts."""

    steps: int = 400  # updates of the head's weights
    batch: int = 2  # images a step
    masks: int = 4  # masks an image; drawn again where there are fewer
    views: int = 2  # crops of each object, of one to two box sizes, half of them alone
    fewest_px: int = 10000  # masks with fewer pixels teach no words, as published
    learning_rate: float = 1e-3  # the highest of the schedule
    seed: int = 0  # of the crops, the order of the images and the head's first weights

    def __post_init__(self) -> None:
        counts = ("steps", "batch", "masks", "views")
        require(
            self,
            fewest_px=(self.fewest_px >= 0, "0 or more"),
            learning_rate=(self.learning_rate > 0, "a number above 0"),
            **{name: (getattr(self, name) >= 1, "1 or more") for name in counts},
        )
