"""Metrics over the pixels of many images, one image at a time: memory does not grow with them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from triscope.errors import BadLabels
from triscope.kernel.metrics.aupro import aupro_of, region_labels
from triscope.kernel.metrics.auroc import auroc_of
from triscope.kernel.metrics.average_precision import average_precision_of
from triscope.kernel.metrics.f1_max import f1_max_of
from triscope.kernel.metrics.histogram import Histogram
from triscope.kernel.metrics.rates import Confusion
from triscope.kernel.metrics.steps import Bounded, Steps, must_be_finite, steps_between

Map = NDArray[np.float32]
NEGATIVES, POSITIVES, REGIONS = range(3)


class Pixels:
    """Adds up score maps with their masks; answers metrics at any time.

    Scores are compared as float32, raw. With ``exact`` every score is kept (4 bytes a good pixel)
    and errors are 0; otherwise three histograms of 1 MB are, and each answer states its error.
    ``above`` is the pixel threshold whose confusion table is counted as well, always exactly.
    """

    def __init__(self, *, exact: bool = False, above: float | None = None) -> None:
        self.exact, self.above = exact, above
        self.images = self.regions = 0
        self.confusion = Confusion(0, 0, 0, 0)
        self._histogram = Histogram(rows=3)
        self._kept: list[tuple[Map, Map, NDArray[np.float64]]] = []

    def add(self, heat: ArrayLike, mask: ArrayLike | None = None) -> None:
        """Add a score map (h, w) with its bool mask (h, w); None where the image is good."""
        scores = np.asarray(heat, dtype=np.float32)
        lowest, highest = _range(scores)
        truth = _truth(scores, mask)
        self.images += 1
        if self.above is not None:
            self.confusion += _confusion(scores, truth, self.above)
        where, weights = np.zeros(0, dtype=np.intp), np.zeros(0)
        if truth is not None:
            where, weights = self._region_weights(truth)
        if self.exact:
            self._keep(scores.ravel(), where, weights)
        else:
            self._count(scores.ravel(), lowest, highest, where, weights)

    def merged(self, other: Pixels) -> Pixels:
        """Both together, as if one had seen all the images; neither is changed."""
        if (self.exact, self.above) != (other.exact, other.above):
            raise ValueError("only pixels counted alike (exact, above) can be merged")
        both = Pixels(exact=self.exact, above=self.above)
        both.images, both.regions = self.images + other.images, self.regions + other.regions
        both.confusion = self.confusion + other.confusion
        both._histogram = self._histogram.merged(other._histogram)
        both._kept = self._kept + other._kept
        return both

    def steps(self) -> Steps:
        """Pixels at each score, the largest first."""
        if self.exact:
            good, bad, weights = self._all_kept()
            return steps_between(good, bad, weights)
        lowest, single, counts = self._histogram.used()
        counts = counts[:, ::-1]
        return Steps(
            lowest[::-1], counts[NEGATIVES], counts[POSITIVES], counts[REGIONS], single[::-1]
        )

    def auroc(self) -> Bounded:
        """Pixel AUROC."""
        return auroc_of(self.steps())

    def average_precision(self) -> Bounded:
        """Pixel average precision."""
        return average_precision_of(self.steps())

    def f1_max(self) -> Bounded:
        """Best Dice over the thresholds, all pixels of all images taken as one picture."""
        return f1_max_of(self.steps())

    def aupro(self, fpr_limit: float = 0.3) -> Bounded:
        """Area under the per-region overlap curve; see ``aupro.py`` for the definition."""
        return aupro_of(self.steps(), fpr_limit)

    def _region_weights(
        self, truth: NDArray[np.bool_]
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Where the defective pixels are (flat), and one over the area of the region of each."""
        count, labels = region_labels(truth)
        self.regions += count
        where = np.flatnonzero(truth)
        names = labels.ravel()[where]
        return where, 1.0 / np.bincount(names, minlength=1)[names]

    def _keep(self, scores: Map, where: NDArray[np.intp], weights: NDArray[np.float64]) -> None:
        self._kept.append((np.delete(scores, where), scores[where], weights))

    def _all_kept(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        empty = (np.zeros(0, np.float32), np.zeros(0, np.float32), np.zeros(0))
        good, bad, weights = zip(empty, *self._kept, strict=True)
        return np.concatenate(good), np.concatenate(bad), np.concatenate(weights)

    def _count(
        self,
        scores: Map,
        lowest: float,
        highest: float,
        where: NDArray[np.intp],
        weights: NDArray[np.float64],
    ) -> None:
        histogram = self._histogram
        histogram.reach(lowest, highest)
        if lowest <= 0:
            scores = scores + np.float32(0)  # -0.0 becomes 0.0: equal numbers share a bin
        places = histogram.places(scores, lowest)
        histogram.saw(places, scores)
        histogram.add(NEGATIVES, places)
        if len(where):
            hit = places[where]
            histogram.add(NEGATIVES, hit, -1.0)
            histogram.add(POSITIVES, hit)
            histogram.add(REGIONS, hit, weights)


def _range(scores: Map) -> tuple[float, float]:
    if scores.ndim != 2 or not scores.size:
        raise BadLabels(f"a score map is (h, w), got {scores.shape}.")
    lowest, highest = float(scores.min()), float(scores.max())
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        must_be_finite(scores, "score maps")
    return lowest + 0.0, highest + 0.0  # never -0.0


def _truth(scores: Map, mask: ArrayLike | None) -> NDArray[np.bool_] | None:
    if mask is None:
        return None
    truth = np.asarray(mask)
    if truth.dtype != bool or truth.shape != scores.shape:
        raise BadLabels(
            f"a mask is bool and as large as its map {scores.shape}, got {truth.dtype} "
            f"{truth.shape}; resize the map to the mask first."
        )
    return truth


def _confusion(scores: Map, truth: NDArray[np.bool_] | None, above: float) -> Confusion:
    called = scores > above
    n_called = int(np.count_nonzero(called))
    if truth is None:
        return Confusion(0, n_called, scores.size - n_called, 0)
    both, n_true = int(np.count_nonzero(called & truth)), int(np.count_nonzero(truth))
    return Confusion(both, n_called - both, scores.size - n_called - n_true + both, n_true - both)
