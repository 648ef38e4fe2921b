"""A memory of good patches under a ceiling: rows in half precision, each with its image."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from triscope.errors import BadSettings
from triscope.surface.coreset import farthest_first

PROGRAM = 900_000_000  # bytes of PyTorch with CUDA, timm, a backbone and a batch: measured
BLOCK = 4096  # rows that are condensed together
SHARE = 1 / 8  # of the rows that stay when a full memory is condensed
LARGEST = 65504.0  # of half precision


class Memory:
    """Rows of features (float16) and the image that each came from, never above ``ceiling`` bytes.

    All rows are kept while they fit, so that a choice among them is exact and forgetting an image
    equals never having seen it. A full memory is condensed: in blocks that mix rows of all images,
    the farthest-first eighth stays. ``condensed`` tells whether that happened.

    ``bank`` holds the rows that ``choose`` chose, and none after what is held has changed.
    """

    grows = ("rows", "owners", "seen", "bank")

    def __init__(self, dims: int, ceiling: int) -> None:
        self.dims = dims
        row_bytes = 2 * dims + 40  # the row, its image, and what a coreset search adds to it
        self.capacity = max(0, ceiling) // row_bytes
        if self.capacity < BLOCK:
            raise BadSettings(
                f"{ceiling / 1e6:.2g} MB hold {self.capacity} patches of {dims} numbers; at least "
                f"{BLOCK} are needed. Raise memory, of which {PROGRAM / 1e6:g} MB are for the "
                "program, or lower dims."
            )
        self.held = 0
        self.seen: dict[int, int] = {}  # image -> how many of its patches were watched
        self.condensed = False
        self.bank = torch.empty(0, dims, dtype=torch.float16)
        # Memory that is not touched yet costs nothing: the ceiling is only reached when needed.
        self._rows = torch.empty(self.capacity, dims, dtype=torch.float16)
        self._owners = torch.empty(self.capacity, dtype=torch.int32)

    @property
    def rows(self) -> Tensor:
        """What is held, float16 (held, dims)."""
        return self._rows[: self.held]

    @property
    def owners(self) -> Tensor:
        """The image of each row, int32 (held,)."""
        return self._owners[: self.held]

    @property
    def total(self) -> int:
        """Patches that were watched, whether they are still held or not."""
        return sum(self.seen.values())

    def add(self, patches: Tensor, ids: Tensor) -> None:
        """Patches (b, n, dims) of the images ``ids`` (b,)."""
        self.bank = self.bank[:0]
        patches = patches.clamp(-LARGEST, LARGEST).half()
        for image, name in zip(patches, ids.tolist(), strict=True):
            for part in torch.split(image, BLOCK // 2):
                self._add(part, name)

    def _add(self, part: Tensor, name: int) -> None:
        if self.held + len(part) > self.capacity:
            self.condense(int(self.held * SHARE))
        place = slice(self.held, self.held + len(part))
        self._rows[place], self._owners[place] = part, name
        self.held += len(part)
        self.seen[name] = self.seen.get(name, 0) + len(part)

    def forget(self, ids: Tensor) -> None:
        """Drop all rows of these images; ids that were never seen are no fault."""
        for name in ids.tolist():
            self.seen.pop(name, None)
        self.bank = self.bank[:0]
        self.keep(~torch.isin(self.owners, ids.to(torch.int32)))

    def keep(self, kept: Tensor) -> None:
        """Drop the rows where the bool tensor (held,) is false; the others keep their order."""
        left = int(kept.sum())
        if left < self.held:
            # Parts move forward onto places that were read already.
            done = 0
            for start in range(0, self.held, BLOCK):
                stop = min(start + BLOCK, self.held)
                inside = kept[start:stop]
                count = int(inside.sum())
                self._rows[done : done + count] = self._rows[start:stop][inside]
                self._owners[done : done + count] = self._owners[start:stop][inside]
                done += count
        self.held = left

    def choose(self, count: int, reserve: float) -> None:
        """Choose ``count`` rows as the bank, farthest first; ``reserve`` times as many stay held.

        Without a change since the last choice, nothing happens.
        """
        if len(self.bank):
            return
        chosen = farthest_first(self.rows, count)
        self.bank = self.rows[chosen]
        self.condense(math.ceil(reserve * len(chosen)), besides=chosen)

    def condense(self, count: int, besides: Tensor | None = None) -> None:
        """Keep about ``count`` rows, farthest first within blocks, and the rows ``besides``."""
        if count >= self.held:
            return
        kept = torch.zeros(self.held, dtype=torch.bool)
        blocks = math.ceil(self.held / BLOCK)
        for block in range(blocks):
            rows = self.rows[block::blocks]
            best = farthest_first(rows, math.ceil(len(rows) * count / self.held))
            kept[block + blocks * best] = True
        if besides is not None:
            kept[besides] = True
        self.keep(kept)
        self.condensed = True

    def state(self) -> dict[str, Tensor]:
        """Everything as tensors; ``restore`` takes it."""
        pairs = sorted(self.seen.items())
        return {
            "rows": self.rows.clone(),
            "owners": self.owners.clone(),
            "seen": torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2),
            "condensed": torch.tensor(self.condensed),
            "bank": self.bank.clone(),
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Put the result of ``state`` back."""
        rows = state["rows"]
        if len(rows) > self.capacity:
            raise BadSettings(
                f"the saved memory holds {len(rows)} patches, this one at most {self.capacity}: "
                "raise memory."
            )
        self.held = len(rows)
        self._rows[: self.held], self._owners[: self.held] = rows, state["owners"]
        self.seen = {int(name): int(count) for name, count in state["seen"]}
        self.condensed = bool(state["condensed"])
        self.bank = state["bank"].clone()
