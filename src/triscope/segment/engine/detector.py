"""The detector of the semi-automatic stage: which proposals look like what people drew?

The published engine trains a box detector with the one class "object" on the masks of stage one.
Here proposals come from everything mode, and a logistic regression over what the network saw inside
each learns from the drawn masks which of them are objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.errors import EmptyData
from triscope.kernel.geometry.rle import Rle
from triscope.segment.answers import Embedding
from triscope.segment.evaluate.overlaps import mask_iou
from triscope.segment.everything import FoundMask

Floats = NDArray[np.float64]
ENOUGH = 0.7  # overlap with a drawn mask from which on a proposal is an object
ROUNDS, RIDGE = 30, 1.0  # of the regression
CONFIDENT = 0.8  # probability from which on a mask is filled in


def features_of(found: Sequence[FoundMask], embedding: Embedding) -> Floats:
    """Mean embedding inside and the difference to just outside, area, scores: float64 (n, f)."""
    values = embedding.values[0].astype(np.float64)  # (d, g, g)
    grid = values.shape[1]
    scale = grid / embedding.frame.side
    h, w = (max(1, round(side * scale)) for side in embedding.frame.resized_hw)
    size = (w, h)
    rows = []
    for one in found:
        small = cv2.resize(one.mask().astype(np.float32), size, interpolation=cv2.INTER_AREA)
        inside = np.zeros((grid, grid))
        inside[: size[1], : size[0]] = small
        near = cv2.dilate(inside, np.ones((3, 3))) - inside
        mean = (values * inside).sum(axis=(1, 2)) / max(inside.sum(), 1e-6)
        around = (values * near).sum(axis=(1, 2)) / max(near.sum(), 1e-6)
        share = np.log(max(one.rle.area, 1) / one.rle.decode().size)
        scores = [share, one.predicted_iou, one.stability_score]
        rows.append(np.concatenate([mean, mean - around, scores]))
    return np.array(rows).reshape(len(rows), -1)


@dataclass
class ObjectDetector:
    """Probability of being an object, by logistic regression with a ridge."""

    mean: Floats
    scale: Floats
    weights: Floats

    @classmethod
    def learned(cls, features: Floats, objects: NDArray[np.bool_]) -> ObjectDetector:
        """From proposals and whether each is an object; raises EmptyData without both kinds."""
        if not objects.any() or objects.all():
            raise EmptyData(
                f"{int(objects.sum())} of {len(objects)} proposals are objects: the detector needs "
                "some of both kinds. Draw more masks, or retrain the network with them."
            )
        mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
        x = np.hstack([(features - mean) / scale, np.ones((len(features), 1))])
        weights, ridge = np.zeros(x.shape[1]), RIDGE * np.eye(x.shape[1])
        for _ in range(ROUNDS):  # Newton's steps
            p = _logistic(x @ weights)
            curvature = (x * (p * (1 - p))[:, None]).T @ x + ridge
            weights = weights + np.linalg.solve(curvature, x.T @ (objects - p) - RIDGE * weights)
        return cls(mean, scale, weights)

    @classmethod
    def load(cls, path: Path) -> ObjectDetector:
        """The one that ``save`` wrote."""
        with np.load(path) as kept:
            return cls(kept["mean"], kept["scale"], kept["weights"])

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        part = path.with_name(f"part.{path.name}")
        np.savez(part, allow_pickle=False, mean=self.mean, scale=self.scale, weights=self.weights)
        part.replace(path)

    def probability(self, features: Floats) -> Floats:
        """Of each proposal, float64 (n,)."""
        x = np.hstack([(features - self.mean) / self.scale, np.ones((len(features), 1))])
        return _logistic(x @ self.weights)


def are_objects(found: Sequence[FoundMask], drawn: Sequence[Rle]) -> NDArray[np.bool_]:
    """Which proposals cover a drawn mask well."""
    if not found or not drawn:
        return np.zeros(len(found), bool)
    return np.asarray(mask_iou([one.rle for one in found], drawn).max(axis=1) >= ENOUGH)


def _logistic(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))))
