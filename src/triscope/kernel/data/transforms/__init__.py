"""Changes of a view for training: seeded by an explicit generator, NumPy and OpenCV only.

A transform is anything callable as ``transform(view, rng) -> View``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from triscope.kernel.config import require
from triscope.kernel.data.transforms.geometric import (
    Affine,
    Crop,
    Flip,
    QuarterTurn,
    flipped,
    turned,
)
from triscope.kernel.data.transforms.photometric import Blur, Colour, Light, Noise
from triscope.kernel.data.transforms.view import View, view_of
from triscope.kernel.data.transforms.warp import Warp

Transform = Callable[[View, np.random.Generator], View]


class Chain:
    """Transforms one after the other."""

    def __init__(self, *steps: Transform) -> None:
        self.steps = steps

    def __repr__(self) -> str:
        return f"Chain({', '.join(map(repr, self.steps))})"

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        for step in self.steps:
            view = step(view, rng)
        return view


@dataclass(frozen=True)
class Sometimes:
    """A transform with a chance; the generator advances alike whether it is done or not."""

    step: Transform
    chance: float = 0.5

    def __post_init__(self) -> None:
        require(self, chance=(0 <= self.chance <= 1, "a chance in [0, 1]"))

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        wanted = rng.random() < self.chance
        own = np.random.default_rng(rng.integers(2**63))
        return self.step(view, own) if wanted else view


__all__ = [
    "Affine",
    "Blur",
    "Chain",
    "Colour",
    "Crop",
    "Flip",
    "Light",
    "Noise",
    "QuarterTurn",
    "Sometimes",
    "Transform",
    "View",
    "Warp",
    "flipped",
    "turned",
    "view_of",
]
