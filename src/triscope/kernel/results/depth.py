"""How far away a view sees the part, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Depth:
    """Depth along the optical axis of one view.

    ``values`` float32 (h, w) in the unit of the poses, 0 where unknown; ``confidence`` float32
    (h, w) in [0, 1]; ``K`` (3, 3) belongs to the size of the map, pixel centres at integers.
    ``flat`` is the share of pixels whose probability hardly differs from that of a guess.
    """

    values: NDArray[np.float32]
    confidence: NDArray[np.float32]
    K: NDArray[np.float64]
    flat: float = 0.0

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape != self.confidence.shape:
            raise ValueError(
                "a depth map and its confidence are (h, w) alike, got "
                f"{self.values.shape} and {self.confidence.shape}"
            )
        if self.K.shape != (3, 3):
            raise ValueError(f"K is (3, 3), got {self.K.shape}")

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where the depth is known."""
        return self.values > 0
