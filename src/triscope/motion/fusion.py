"""Two streams made one answer: probabilities averaged with weights, or a linear SVM on them.

Simonyan, Zisserman 2014, section 2: both fusions; the SVM sees the streams' probabilities, each
divided by its length, behind one another.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadLabels

Floats = NDArray[np.float64]


def average(streams: Sequence[Floats], weights: Sequence[float] = ()) -> Floats:
    """Weighted mean of probabilities (n, k), equal weights where none are given."""
    shares = np.asarray(weights or [1.0] * len(streams), np.float64)
    _checked(streams)
    return np.asarray(np.tensordot(shares / shares.sum(), np.stack(streams), axes=1))


def stacked(streams: Sequence[Floats]) -> Floats:
    """Probabilities of all streams as unit vectors, behind one another: (n, streams * k)."""
    _checked(streams)
    parts = [s / np.maximum(np.linalg.norm(s, axis=1, keepdims=True), 1e-12) for s in streams]
    return np.concatenate(parts, axis=1)


class LinearSvm:
    """A linear machine a class against the rest, squared hinge loss, by gradient descent.

    ``fit`` and ``scores`` take rows (n, d); deterministic.
    """

    def __init__(self, strength: float = 10.0, steps: int = 500) -> None:
        self.strength, self.steps = strength, steps
        self.weights: Floats = np.zeros((0, 0))

    def fit(self, rows: Floats, labels: NDArray[np.int64], classes: int) -> LinearSvm:
        """Learn from rows and the numbers of their classes."""
        x = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
        signs = np.where(labels[:, None] == np.arange(classes), 1.0, -1.0)
        w = np.zeros((x.shape[1], classes))
        steepest = 1 + 2 * self.strength * np.linalg.norm(x, 2) ** 2 / len(x)
        for _ in range(self.steps):
            lacking = np.maximum(0, 1 - signs * (x @ w))
            slope = w - 2 * self.strength * x.T @ (signs * lacking) / len(x)
            w -= slope / steepest
        self.weights = w
        return self

    def scores(self, rows: Floats) -> Floats:
        """How far each row lies on each class's side: (n, k)."""
        return np.asarray(np.concatenate([rows, np.ones((len(rows), 1))], axis=1) @ self.weights)


def _checked(streams: Sequence[Floats]) -> None:
    shapes = {np.shape(s) for s in streams}
    if len(shapes) != 1:
        raise BadLabels(f"streams to fuse answer the same videos and classes, got {shapes}.")
