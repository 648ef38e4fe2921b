"""Run lengths of masks, column by column, starting with the length of the background (COCO)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Rle:
    size: tuple[int, int]
    counts: NDArray[np.int64]

    @classmethod
    def encode(cls, mask: Bools) -> Rle:
        flat = mask.ravel(order="F")
        edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        ends = np.concatenate([[0] if flat[0] else [], [0], edges, [flat.size]])
        return cls((mask.shape[0], mask.shape[1]), np.diff(ends).astype(np.int64))

    def decode(self) -> Bools:
        values = np.arange(len(self.counts)) % 2 == 1
        return np.repeat(values, self.counts).reshape(self.size, order="F")

    @property
    def area(self) -> int:
        return int(self.counts[1::2].sum())

    def to_coco(self) -> dict[str, Any]:
        return {"size": list(self.size), "counts": ""}
