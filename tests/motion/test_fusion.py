"""Fusion of two streams: by average and by a linear machine, against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from triscope.errors import BadLabels
from triscope.motion.fusion import LinearSvm, average, stacked


def streams(count: int = 90) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One stream tells class 0 from the rest, the other 1 from 2."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, count)
    looks = np.where(labels[:, None] == 0, (0.8, 0.1, 0.1), (0.1, 0.45, 0.45))
    moves = np.where(labels[:, None] == 1, (0.3, 0.5, 0.2), (0.3, 0.2, 0.5))
    noise = rng.uniform(0.9, 1.1, (2, count, 3))
    first, second = (s * n for s, n in zip((looks, moves), noise, strict=True))
    return (
        first / first.sum(1, keepdims=True),
        second / second.sum(1, keepdims=True),
        labels,
    )


def test_what_one_stream_lacks_the_other_has() -> None:
    looks, moves, labels = streams()
    alone = [(s.argmax(1) == labels).mean() for s in (looks, moves)]
    fused = (average([looks, moves]).argmax(1) == labels).mean()
    assert max(alone) < 0.8 and fused == 1.0
    assert np.allclose(average([looks, moves], (3, 1)), 0.75 * looks + 0.25 * moves)


def test_the_linear_machine_agrees_with_scikit_learn() -> None:
    looks, moves, labels = streams()
    rows = stacked([looks, moves])
    assert np.allclose(np.linalg.norm(rows[:, :3], axis=1), 1)
    ours = LinearSvm(steps=3000).fit(rows, labels, 3).scores(rows)
    theirs = LinearSVC(C=10 / len(rows), max_iter=20000, intercept_scaling=1).fit(rows, labels)
    assert (ours.argmax(1) == theirs.predict(rows)).mean() == 1.0
    assert np.abs(ours - theirs.decision_function(rows)).max() < 0.05


def test_streams_of_other_videos_are_refused() -> None:
    with pytest.raises(BadLabels, match="answer the same videos and classes"):
        average([np.ones((2, 3)), np.ones((3, 3))])
