"""Two people drew the same masks: how far do they agree, arXiv:2304.02643 section 5."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.errors import EmptyData
from triscope.kernel.metrics.overlap import iou
from triscope.segment.evaluate.boundaries import boundary_f

Bools = NDArray[np.bool_]
PUBLISHED = (0.75, 0.9)  # shares of pairs above these overlaps are reported


@dataclass(frozen=True)
class Agreement:
    """Overlap and boundary F of each pair of masks."""

    iou: tuple[float, ...]
    boundary_f: tuple[float, ...]

    def share_above(self, overlap: float) -> float:
        """Share of pairs whose overlap is above."""
        return float(np.mean(np.array(self.iou) > overlap))

    def to_dict(self) -> dict[str, Any]:
        """Means, quartiles, and the published shares."""
        quartiles = np.quantile(self.iou, (0.25, 0.5, 0.75)).tolist()
        return {
            "pairs": len(self.iou),
            "mean IoU": float(np.mean(self.iou)),
            "quartiles of IoU": quartiles,
            **{f"share above {t:g}": self.share_above(t) for t in PUBLISHED},
            "mean boundary F": float(np.mean(self.boundary_f)),
        }


def agreement(pairs: Iterable[tuple[Bools, Bools]]) -> Agreement:
    """Of pairs of masks of the same thing."""
    overlaps, edges = [], []
    for first, second in pairs:
        overlaps.append(iou(first, second))
        edges.append(boundary_f(first, second))
    if not overlaps:
        raise EmptyData("no pair of masks: give two folders with masks of the same names.")
    return Agreement(tuple(overlaps), tuple(edges))
