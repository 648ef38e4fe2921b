"""What a sweep answers for one reference view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Swept:
    """``index`` int32 (h, w): the plane with the highest score, the first where several tie.

    ``probability`` float32 (h, w) is its soft-max over the planes. ``around`` float32 (3, h, w)
    holds the scores of the plane before, of the plane itself and of the plane after it; at the
    first and the last plane the missing neighbour is -inf.
    """

    index: NDArray[np.int32]
    probability: NDArray[np.float32]
    around: NDArray[np.float32]

    def offset(self) -> NDArray[np.float32]:
        """Where the parabola through the three scores peaks, in planes, within [-0.5, 0.5]."""
        before, best, after = self.around.astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            bend = before - 2 * best + after
            peak = 0.5 * (before - after) / bend
        inside = np.isfinite(peak) & (bend < 0)
        return np.where(inside, np.clip(peak, -0.5, 0.5), 0.0).astype(np.float32)


def depth_between(
    depths: NDArray[np.float64], index: NDArray[np.int32], offset: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Depth at a fractional plane: linear between the planes in 1/depth (in depth if uniform)."""
    steps = np.diff(depths)
    place = index + offset.astype(np.float64)
    numbers = np.arange(len(depths))
    if np.allclose(steps, steps[0], rtol=1e-6):
        return np.interp(place, numbers, depths).astype(np.float32)
    return (1 / np.interp(place, numbers, 1 / depths)).astype(np.float32)
