"""Batches of generated scenes, drawn on the fly: image i of a training is always the same scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from triscope.segment.frame import Frame
from triscope.segment.synth import Scene, scene
from triscope.segment.training.groups import usable_groups

MOSAICS = 10_000_000_000  # their scenes have the seeds from here on: nobody else uses them


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
    views: int = 1  # batches in which a scene is seen, up to 8: turned, mirrored, other masks
    mosaics: float = 0.0  # share of images that are four scenes of half the side: small things

    def __call__(self, epoch: int) -> Sequence[dict[str, Tensor]]:
        """The batches of one epoch; scenes do not come again."""
        drawn = -(-self.per_epoch // self.views) * self.batch
        return _Epoch(self, self.first_seed + epoch * drawn)


class _Epoch(Sequence[dict[str, Tensor]]):
    def __init__(self, scenes: Scenes, first: int) -> None:
        self.scenes, self.first = scenes, first
        self.drawn: tuple[int, list[Scene]] = (-1, [])  # the scenes of the last batch, drawn once

    def __len__(self) -> int:
        return self.scenes.per_epoch

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)  # this ends a walk
        number, view = divmod(index, self.scenes.views)
        start = self.first + number * self.scenes.batch
        if self.drawn[0] != number:
            made = [picture(start + i, self.scenes) for i in range(self.scenes.batch)]
            self.drawn = (number, made)
        some = [example(one, self.scenes, start + i, view) for i, one in enumerate(self.drawn[1])]
        return {
            "images": torch.from_numpy(np.concatenate([image for image, _ in some])),
            "masks": torch.from_numpy(np.stack([masks for _, masks in some])),
        }


def picture(seed: int, scenes: Scenes) -> Scene:
    """The scene of this seed, or a mosaic of four."""
    side = scenes.side
    if np.random.default_rng([seed, 0]).random() >= scenes.mosaics:
        return scene(seed, (side, side))
    seeds = range(MOSAICS + 4 * seed, MOSAICS + 4 * seed + 4)
    return mosaic([scene(one, (side // 2, side // 2)) for one in seeds])


def mosaic(four: Sequence[Scene]) -> Scene:
    """Four scenes of one size as one, two beside two; no group reaches over the seams."""
    pieces, groups, first = [], [], 0
    for one in four:
        pieces.append(one.pieces + first)
        groups += [tuple(piece + first for piece in group) for group in one.groups]
        first += int(one.pieces.max()) + 1
    images = [one.image for one in four]
    whole = [np.vstack([np.hstack(maps[:2]), np.hstack(maps[2:])]) for maps in (images, pieces)]
    return Scene(whole[0], whole[1].astype(np.int16), tuple(groups))


def example(
    made: Scene, scenes: Scenes, seed: int, view: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Input (1, 3, s, s) and shares of masks (n, s/4, s/4) of one scene."""
    usable = usable_groups(made)
    rng = np.random.default_rng([seed, 1 + view])
    if not len(usable):
        masks = [np.ones(made.pieces.shape, bool)] * scenes.masks
    else:
        several = len(usable) < scenes.masks
        likely = made.areas()[usable] ** 0.45  # tiny parts are many, and say little each
        chosen = rng.choice(usable, scenes.masks, several, likely / likely.sum())
        masks = [made.mask(group) for group in chosen]
    pixels = Frame((scenes.side, scenes.side), scenes.side).pixels(seen_from(made.image, view))
    return pixels, np.stack([shares_of(seen_from(mask, view)) for mask in masks])


def seen_from(square: NDArray[Any], view: int) -> NDArray[Any]:
    """One of the eight ways to turn and mirror a square; colours change places with it."""
    if square.ndim == 3:
        square = np.roll(square, view % 3, axis=2)
    if view & 1:
        square = square[:, ::-1]
    if view & 2:
        square = square[::-1]
    return np.ascontiguousarray(square.swapaxes(0, 1) if view & 4 else square)


def shares_of(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """What share of each 4x4 cell a square mask covers, float32 (s/4, s/4)."""
    cells = (mask.shape[1] // 4, mask.shape[0] // 4)
    return np.asarray(cv2.resize(mask.astype(np.float32), cells, interpolation=cv2.INTER_AREA))
