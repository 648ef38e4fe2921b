"""How good depth maps and clouds are: the measures of the benchmarks, with their definitions.

DTU (Jensen et al., CVPR 2014): accuracy is the distance of the cloud to the truth, completeness of
the truth to the cloud, both cut at a largest distance and over what could be observed; Tanks and
Temples (Knapitsch et al., 2017): precision, recall and their harmonic mean at a distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError, EmptyData
from triscope.shape.distance import Distance

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class DepthErrors:
    """Errors of one depth map where both depths are known; shares are of those pixels."""

    pixels: int  # compared pixels
    known: float  # share of the pixels with true depth that have an answer
    mean_abs: float  # in the unit of the depths
    median_abs: float
    median_rel: float
    within_1: float  # share within 1 % of the true depth
    within_2: float
    within_5: float

    def to_dict(self) -> dict[str, float]:
        """Plain types."""
        return asdict(self)


def truth_at(truth: NDArray[np.float32], size: Sequence[int]) -> NDArray[np.float32]:
    """The true depth at the middles of the pixels of a map of this (h, w); never a mix of two."""
    rows, columns = (
        ((np.arange(n) + 0.5) * whole / n).astype(int)
        for n, whole in zip(size, truth.shape, strict=True)
    )
    return np.ascontiguousarray(truth[rows][:, columns], np.float32)


def depth_errors(
    depth: NDArray[np.floating], truth: NDArray[np.floating], valid: Bools | None = None
) -> DepthErrors:
    """Compare a depth map with the truth, both (h, w), 0 where unknown.

    ``valid`` restricts the comparison, for example to confident pixels. Raises EmptyData where
    nothing can be compared.
    """
    if depth.shape != truth.shape:
        raise DataError(
            f"the depth is {depth.shape}, the truth {truth.shape}: resize the truth by nearest "
            "neighbour first."
        )
    asked = truth > 0 if valid is None else (truth > 0) & valid
    both = asked & (depth > 0)
    if not both.any():
        raise EmptyData("no pixel has both a depth and a true depth: nothing can be compared.")
    gap = np.abs(depth[both].astype(np.float64) - truth[both])
    relative = gap / truth[both]
    return DepthErrors(
        int(both.sum()),
        float(both.sum() / asked.sum()),
        float(gap.mean()),
        float(np.median(gap)),
        float(np.median(relative)),
        *(float((relative < share).mean()) for share in (0.01, 0.02, 0.05)),
    )


@dataclass(frozen=True)
class CloudErrors:
    """Accuracy, completeness and their mean (overall), in the unit of the clouds."""

    accuracy: float
    completeness: float
    overall: float


def cloud_errors(
    cloud: Floats,
    truth: Floats,
    *,
    cut: float = 20.0,
    observable: Bools | None = None,
    observed: Bools | None = None,
) -> CloudErrors:
    """DTU's measures of points (n, 3) against true points (m, 3).

    Distances of ``cut`` or more are left out of the means. ``observable`` (n,) says which points of
    the cloud lie where the truth could be measured, ``observed`` (m,) which true points count.
    """
    there = nearest(cloud, truth)
    back = nearest(truth, cloud)
    accuracy = _mean_below(there if observable is None else there[observable], cut)
    completeness = _mean_below(back if observed is None else back[observed], cut)
    return CloudErrors(accuracy, completeness, (accuracy + completeness) / 2)


@dataclass(frozen=True)
class FScore:
    """Shares within a distance: of the cloud, of the truth, and their harmonic mean."""

    precision: float
    recall: float
    f: float


def f_score(cloud: Floats, truth: Floats, within: float) -> FScore:
    """Precision, recall and F-score of points (n, 3) against true points (m, 3)."""
    precision = float((nearest(cloud, truth) < within).mean())
    recall = float((nearest(truth, cloud) < within).mean())
    total = precision + recall
    return FScore(precision, recall, 2 * precision * recall / total if total else 0.0)


def point_to_mesh(cloud: Floats, reference: Distance) -> dict[str, float]:
    """Signed distances of points to a mesh, in numbers."""
    found = reference(cloud).distance
    if not len(found):
        raise EmptyData("the cloud has no point.")
    size = np.abs(found)
    return {
        "mean": float(found.mean()),
        "mean_abs": float(size.mean()),
        "median_abs": float(np.median(size)),
        "rms": float(np.sqrt((found**2).mean())),
        "p95_abs": float(np.quantile(size, 0.95)),
    }


def thinned(points: Floats, distance: float) -> Floats:
    """Points such that each cube of this side keeps one: DTU thins clouds before it measures."""
    _, first = np.unique(np.floor(points / distance).astype(np.int64), axis=0, return_index=True)
    return points[np.sort(first)]


def nearest(points: Floats, others: Floats) -> Floats:
    """Distance (n,) of each point to the nearest of the others."""
    if not len(points) or not len(others):
        raise EmptyData(f"{len(points)} points against {len(others)}: both need at least one.")
    from scipy.spatial import cKDTree

    return np.asarray(cKDTree(others).query(points)[0])


def _mean_below(distances: Floats, cut: float) -> float:
    kept = distances[distances < cut]
    if not len(kept):
        raise EmptyData(f"no distance is below cut={cut:g}: check unit and alignment.")
    return float(kept.mean())
