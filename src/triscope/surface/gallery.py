"""A gallery of good images under a ceiling: what each looks like as a whole, and some patches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from triscope.errors import BadSettings
from triscope.surface.coreset import farthest_first
from triscope.surface.memory import LARGEST

LEAST = 16  # patches of an image, below which whole images are dropped instead


@dataclass(frozen=True)
class Look:
    """One look at one image: its number, mean features float32 (d,), patches float16 (n, d)."""

    image: int
    whole: Tensor
    patches: Tensor


class Gallery:
    """Looks with ``patches`` rows each, farthest first: the first ones tell the most.

    When the ceiling is reached, each look keeps the first half of its rows; with ``LEAST`` rows
    left, the looks themselves are thinned to those farthest from each other.
    """

    grows = ("images", "wholes", "patches")

    def __init__(self, patches: int, dims: int, ceiling: int) -> None:
        self.patches, self.dims, self.ceiling = patches, dims, ceiling
        self.looks: list[Look] = []
        if self._bytes(1) > ceiling:
            raise BadSettings(
                f"one image with {patches} patches of {dims} numbers takes "
                f"{self._bytes(1) / 1e6:.1f} MB, more than the {ceiling / 1e6:.1f} MB that memory "
                "leaves. Raise memory, or lower keep."
            )

    def add(self, features: Tensor, ids: Tensor) -> None:
        """Features (b, n, dims) of the images ``ids`` (b,)."""
        for rows, name in zip(features.float(), ids.tolist(), strict=True):
            best = farthest_first(rows, self.patches)
            patches = rows[best].clamp(-LARGEST, LARGEST).half()
            while self._bytes(len(self.looks) + 1) > self.ceiling:
                self._make_room()
                patches = patches[: self.patches]
            self.looks.append(Look(name, rows.mean(0), patches))

    def forget(self, ids: Tensor) -> None:
        """Drop these images; ids that were never seen are no fault."""
        names = set(ids.tolist())
        self.looks = [look for look in self.looks if look.image not in names]

    def tables(self) -> tuple[Tensor, Tensor]:
        """Mean features (looks, d) and patches float16 (looks, n, d)."""
        if not self.looks:
            empty = torch.zeros(0, self.patches, self.dims)
            return empty[:, 0], empty.half()
        return (
            torch.stack([look.whole for look in self.looks]),
            torch.stack([look.patches for look in self.looks]),
        )

    def state(self) -> dict[str, Tensor]:
        """Everything as tensors; ``restore`` takes it."""
        wholes, patches = self.tables()
        images = torch.tensor([look.image for look in self.looks], dtype=torch.int64)
        return {"images": images, "wholes": wholes, "patches": patches}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Put the result of ``state`` back."""
        tables = state["wholes"].clone(), state["patches"].clone()
        self.patches = tables[1].shape[1]
        self.looks = [Look(*look) for look in zip(state["images"].tolist(), *tables, strict=True)]

    def _bytes(self, looks: int) -> int:
        """What so many looks take, twice: held, and as the tables of the graph."""
        return 2 * looks * (2 * self.patches * self.dims + 4 * self.dims + 200)

    def _make_room(self) -> None:
        if self.patches >= 2 * LEAST:
            self.patches //= 2
            self.looks = [
                replace(look, patches=look.patches[: self.patches].clone()) for look in self.looks
            ]
            return
        wholes = torch.stack([look.whole for look in self.looks])
        kept = farthest_first(wholes, len(self.looks) // 2).sort().values
        self.looks = [self.looks[i] for i in kept.tolist()]
