"""Scores of boxes, classes and masks against computations by hand and by scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_curve

from triscope.kernel.metrics.detection import Detections
from triscope.kernel.metrics.drawn import Masks, border, boundary_f
from triscope.kernel.metrics.named import Names


def test_boxes_by_hand() -> None:
    seen = Detections(("scratch", "dent"))
    seen.add(
        [("scratch", (0, 0, 10, 10)), ("dent", (20, 20, 40, 40))],
        [
            ("scratch", (0, 0, 10, 10), 0.9),
            ("dent", (22, 20, 40, 40), 0.8),  # IoU 0.9
            ("dent", (0, 0, 5, 5), 0.95),
        ],
    )
    seen.add([("scratch", (0, 0, 10, 10))], [])
    seen.add([("stain", (0, 0, 5, 5))], [("scratch", (0, 0, 5, 5), 0.3), ("rust", (0, 0, 5, 5), 1)])
    found = seen.result()
    scratch, dent = found["classes"]
    assert found["images"] == 3 and found["unknown"] == {"stain": 1}
    assert (scratch["truths"], scratch["found"], scratch["recall_50"]) == (2, 2, 0.5)
    assert scratch["ap_50"] == pytest.approx(51 / 101)  # precision 1 up to recall 0.5
    assert dent["ap_50"] == pytest.approx(0.5)  # a wrong box comes first
    assert dent["ap_50_95"] == pytest.approx(0.5 * 9 / 10)  # IoU 0.9 meets 9 of 10 overlaps
    assert found["map_50"] == pytest.approx((51 / 101 + 0.5) / 2)


def test_boxes_when_nothing_is_there_or_found() -> None:
    empty = Detections(("scratch",))
    empty.add([], [("scratch", (0, 0, 5, 5), 0.9)])
    assert empty.result()["map_50"] is None and empty.result()["classes"][0]["ap_50"] is None
    missed = Detections(("scratch",))
    missed.add([("scratch", (0, 0, 5, 5))], [])
    assert missed.result()["map_50"] == 0 and missed.result()["classes"][0]["recall_50"] == 0


def test_average_precision_of_many_boxes_is_that_of_the_ranking() -> None:
    """One box an image at the place of the truth or away from it: as the envelope of the curve."""
    rng = np.random.default_rng(0)
    right, scores = rng.random(300) < 0.6, rng.random(300)
    seen = Detections(("a",))
    for hit, score in zip(right, scores, strict=True):
        box = (0, 0, 10, 10) if hit else (50, 50, 60, 60)
        seen.add([("a", (0, 0, 10, 10))] if hit else [], [("a", box, float(score))])
    precision, recall, _ = precision_recall_curve(right, scores)
    reached = [precision[recall >= place].max() for place in np.linspace(0, 1, 101)]
    assert seen.result()["classes"][0]["ap_50"] == pytest.approx(np.mean(reached), abs=0.005)


def test_names_as_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    names = ("good", "scratch", "dent")
    truth, found = rng.integers(3, size=200), rng.integers(3, size=200)
    seen = Names(names)
    for a, b in zip(truth, found, strict=True):
        seen.add(names[a], names[b])
    seen.add("rust", "good")
    result = seen.result()
    assert result["matrix"] == confusion_matrix(truth, found).tolist()
    assert result["accuracy"] == pytest.approx((truth == found).mean())
    expected = f1_score(truth, found, average=None)
    assert [row["f1"] for row in result["classes"]] == pytest.approx(expected)
    assert result["unknown"] == {"rust": 1}


def test_masks_by_hand() -> None:
    truth = np.zeros((20, 20), bool)
    truth[5:15, 5:15] = True
    found = np.zeros_like(truth)
    found[5:15, 10:20] = True
    seen = Masks()
    seen.add("dent", truth, found)
    seen.add("good", np.zeros_like(truth), np.zeros_like(truth))
    result = seen.result()
    assert result["iou"] == pytest.approx(50 / 150) and result["dice"] == pytest.approx(0.5)
    assert [row["name"] for row in result["types"]] == ["dent"]
    perfect = Masks()
    perfect.add("dent", truth, truth)
    assert perfect.result()["boundary_f"] == 1


def test_borders() -> None:
    mask = np.zeros((20, 20), bool)
    mask[5:15, 5:15] = True
    assert border(mask).sum() == 36
    assert not border(np.ones((5, 5), bool)).any()
    moved = np.roll(mask, 1, axis=1)
    assert boundary_f(moved, mask, tolerance=0) == 1  # one pixel is always allowed
    assert boundary_f(np.roll(mask, 8, axis=(0, 1)), mask, tolerance=0) < 0.2
    assert boundary_f(np.zeros_like(mask), mask) == 0
    assert boundary_f(np.zeros_like(mask), np.zeros_like(mask)) == 1
