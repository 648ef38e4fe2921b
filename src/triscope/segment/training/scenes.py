"""Batches of generated scenes, drawn on the fly: image i of a training is always the same scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from triscope.segment.frame import Frame
from triscope.segment.synth import scene
from triscope.segment.training.groups import usable_groups


@dataclass(frozen=True)
class Scenes:
    """``Scenes(...)(epoch)`` is a sequence of batches for ``kernel.train``.

    A batch has ``images`` (b, 3, s, s) and ``masks`` (b, n, s/4, s/4), shares of a cell.
    """

    side: int = 256  # of the square images
    batch: int = 8  # images a batch
    masks: int = 8  # masks an image
    per_epoch: int = 1000  # batches an epoch
    first_seed: int = 0  # scenes have the seeds from here on

    def __call__(self, epoch: int) -> Sequence[dict[str, Tensor]]:
        """The batches of one epoch; scenes do not come again."""
        return _Epoch(self, self.first_seed + epoch * self.per_epoch * self.batch)


class _Epoch(Sequence[dict[str, Tensor]]):
    def __init__(self, scenes: Scenes, first: int) -> None:
        self.scenes, self.first = scenes, first

    def __len__(self) -> int:
        return self.scenes.per_epoch

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)  # this ends a walk
        start = self.first + index * self.scenes.batch
        some = [example(start + i, self.scenes) for i in range(self.scenes.batch)]
        return {
            "images": torch.from_numpy(np.concatenate([image for image, _ in some])),
            "masks": torch.from_numpy(np.stack([masks for _, masks in some])),
        }


def example(seed: int, scenes: Scenes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Input (1, 3, s, s) and shares of masks (n, s/4, s/4) of one scene."""
    made = scene(seed, (scenes.side, scenes.side))
    usable = usable_groups(made)
    rng = np.random.default_rng([seed, 1])
    if not len(usable):
        shares = [np.ones((scenes.side // 4,) * 2, np.float32)] * scenes.masks
    else:
        several = len(usable) < scenes.masks
        likely = made.areas()[usable] ** 0.3  # tiny parts are many, and say little each
        chosen = rng.choice(usable, scenes.masks, several, likely / likely.sum())
        shares = [shares_of(made.mask(group)) for group in chosen]
    return Frame((scenes.side, scenes.side), scenes.side).pixels(made.image), np.stack(shares)


def shares_of(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """What share of each 4x4 cell a square mask covers, float32 (s/4, s/4)."""
    cells = (mask.shape[1] // 4, mask.shape[0] // 4)
    return np.asarray(cv2.resize(mask.astype(np.float32), cells, interpolation=cv2.INTER_AREA))
