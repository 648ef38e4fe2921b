"""Matching of boundaries within a tolerance: precision, recall, F; ODS, OIS, AP of edge maps.

Following BSDS (Martin, Fowlkes, Malik 2004): each found edge pixel may match one true edge pixel
within 0.75 % of the diagonal. The matching has the largest possible number of pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.errors import needs_extra

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
TOLERANCE = 0.0075  # of the diagonal
STEPS = 30  # thresholds of edge strength


def boundary_of(mask: Bools) -> Bools:
    """Pixels of a mask that touch its outside; the border of the image does not count."""
    inner = cv2.erode(
        mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE
    )
    return np.asarray(mask & (inner == 0))


def matched(found: Bools, truth: Bools, tolerance_px: float) -> tuple[Bools, Bools]:
    """Which pixels of each map have a partner in a largest one-to-one matching."""
    try:
        from scipy.sparse import csr_matrix
        from scipy.sparse.csgraph import maximum_bipartite_matching
        from scipy.spatial import cKDTree
    except ImportError as error:
        raise needs_extra("matching boundaries", "shape", "scipy") from error
    a, b = np.argwhere(found), np.argwhere(truth)
    hit_a, hit_b = np.zeros(len(a), bool), np.zeros(len(b), bool)
    if len(a) and len(b):
        near = cKDTree(b).query_ball_point(a, tolerance_px)
        rows = np.repeat(np.arange(len(a)), [len(one) for one in near])
        columns = np.array([j for one in near for j in one], np.intp)
        links = csr_matrix((np.ones(len(rows), bool), (rows, columns)), (len(a), len(b)))
        partner = maximum_bipartite_matching(links, perm_type="column")
        hit_a = partner >= 0
        hit_b[partner[hit_a]] = True
    return _placed(found, a, hit_a), _placed(truth, b, hit_b)


def _placed(like: Bools, at: NDArray[np.intp], hit: Bools) -> Bools:
    out = np.zeros_like(like)
    out[tuple(at[hit].T)] = True
    return out


def boundary_f(found: Bools, truth: Bools, tolerance_px: float | None = None) -> float:
    """F of two masks' boundaries; 1 where neither has one."""
    a, b = boundary_of(found), boundary_of(truth)
    if not a.any() and not b.any():
        return 1.0
    reach = TOLERANCE * float(np.hypot(*found.shape)) if tolerance_px is None else tolerance_px
    hit_a, hit_b = matched(a, b, reach)
    return f_of(hit_a.sum() / max(a.sum(), 1), hit_b.sum() / max(b.sum(), 1))


def f_of(precision: float, recall: float) -> float:
    """The harmonic mean."""
    both = precision + recall
    return float(2 * precision * recall / both) if both else 0.0


@dataclass
class EdgeScores:
    """ODS, OIS and AP of edge maps against the drawings of several people.

    A found pixel is right if it matches any drawing; recall counts the pixels of all drawings.
    """

    steps: int = STEPS
    counts: list[Floats] = field(default_factory=list)  # an image: (steps, 4)

    @property
    def thresholds(self) -> Floats:
        """Edge strengths at which maps are cut."""
        return np.arange(1, self.steps + 1) / (self.steps + 1)

    def add(self, strength: NDArray[np.float32], drawings: Sequence[Bools]) -> None:
        """One image: its edge map in [0, 1] and each person's drawing."""
        reach = TOLERANCE * float(np.hypot(*strength.shape))
        rows = []
        for threshold in self.thresholds:
            found = strength >= threshold
            right, hits, all_true = np.zeros_like(found), 0, 0
            for drawing in drawings:
                hit, drawn = matched(found, drawing, reach)
                right |= hit
                hits, all_true = hits + int(drawn.sum()), all_true + int(drawing.sum())
            rows.append([right.sum(), found.sum(), hits, all_true])
        self.counts.append(np.array(rows, np.float64))

    def to_dict(self) -> dict[str, Any]:
        """ODS: one threshold for all images; OIS: the best for each; AP: area under the curve."""
        total = np.sum(self.counts, axis=0)
        whole = [f_of(*_rates(row)) for row in total]
        best = np.sum([max(rows, key=lambda row: f_of(*_rates(row))) for rows in self.counts], 0)
        rates = np.array([_rates(row) for row in total])
        return {
            "ODS": max(whole),
            "OIS": f_of(*_rates(best)),
            "AP": _area(rates),
            "R50": _recall_at(rates, 0.5),
            "threshold": float(self.thresholds[int(np.argmax(whole))]),
            "images": len(self.counts),
        }


def _rates(row: Floats) -> tuple[float, float]:
    right, found, hits, all_true = row
    return float(right / found) if found else 1.0, float(hits / all_true) if all_true else 1.0


def _area(rates: Floats) -> float:
    """Precision averaged over 101 recalls from 0 to 1; beyond the largest recall it is 0."""
    order = np.argsort(rates[:, 1], kind="stable")
    recall, precision = rates[order, 1], rates[order, 0]
    return float(np.interp(np.linspace(0, 1, 101), recall, precision, right=0.0).mean())


def _recall_at(rates: Floats, precision: float) -> float:
    """The largest recall at which the precision is still reached."""
    enough = rates[rates[:, 0] >= precision]
    return float(enough[:, 1].max()) if len(enough) else 0.0
