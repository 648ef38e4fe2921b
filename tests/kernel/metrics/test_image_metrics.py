"""Metrics of images against definitions written out, scikit-learn, and detectors known by heart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk
from slow_metrics import slow_auroc, slow_average_precision, slow_f1_max

from triscope.errors import BadLabels, EmptyData
from triscope.kernel.metrics import (
    auroc,
    average_precision,
    confusion,
    f1_max,
    steps_of,
)

LABELS = [False] * 6 + [True] * 4


def two_classes(max_size=40):
    """Scores with many ties, both classes present."""
    pair = st.tuples(st.integers(-6, 6), st.booleans())
    rows = st.lists(pair, min_size=2, max_size=max_size)
    return rows.filter(lambda r: {bad for _, bad in r} == {True, False})


@given(two_classes())
def test_agrees_with_the_definitions(rows):
    scores, labels = zip(*rows, strict=True)
    assert auroc(scores, labels) == pytest.approx(slow_auroc(scores, labels))
    assert average_precision(scores, labels) == pytest.approx(
        slow_average_precision(scores, labels)
    )
    assert f1_max(scores, labels).value == pytest.approx(slow_f1_max(scores, labels))


def test_agrees_with_scikit_learn_on_many_scores():
    rng = np.random.default_rng(0)
    labels = rng.random(3000) < 0.2
    scores = np.round(rng.normal(size=3000) + labels, 2)
    assert auroc(scores, labels) == pytest.approx(sk.roc_auc_score(labels, scores))
    assert average_precision(scores, labels) == pytest.approx(
        sk.average_precision_score(labels, scores)
    )
    best = f1_max(scores, labels)
    assert best.value == pytest.approx(sk.f1_score(labels, scores > best.threshold))


@given(two_classes())
def test_a_monotone_change_of_the_scores_changes_nothing(rows):
    scores, labels = np.array([s for s, _ in rows], float), [bad for _, bad in rows]
    changed = np.exp(scores / 3) * 7 - 2
    assert auroc(changed, labels) == auroc(scores, labels)
    assert average_precision(changed, labels) == average_precision(scores, labels)
    assert f1_max(changed, labels).value == f1_max(scores, labels).value


@given(two_classes())
def test_turning_a_detector_round_mirrors_its_auroc(rows):
    scores, labels = np.array([s for s, _ in rows], float), [bad for _, bad in rows]
    assert auroc(-scores, labels) == pytest.approx(1 - auroc(scores, labels))


def test_a_perfect_detector():
    scores = range(10)
    assert auroc(scores, LABELS) == 1
    assert average_precision(scores, LABELS) == 1
    assert f1_max(scores, LABELS).value == 1
    assert f1_max(scores, LABELS).threshold == pytest.approx(5.5)


def test_a_constant_detector_scores_half_and_the_prevalence():
    scores = [0.25] * 10
    assert auroc(scores, LABELS) == 0.5
    assert average_precision(scores, LABELS) == pytest.approx(0.4)
    assert f1_max(scores, LABELS).value == pytest.approx(2 * 0.4 / 1.4)
    assert confusion(scores, LABELS, above=f1_max(scores, LABELS).threshold).recall == 1


def test_an_inverted_detector():
    scores = -np.arange(10.0)
    assert auroc(scores, LABELS) == 0
    by_hand = sum(hit / (6 + hit) for hit in range(1, 5)) / 4
    assert average_precision(scores, LABELS) == pytest.approx(by_hand)


def test_scores_are_raw_far_outside_zero_to_one():
    scores = np.array([1e6, 2e6, 3e6, 4e6])
    assert auroc(scores, [False, True, False, True]) == 0.75


def test_neighbouring_float32_scores_are_told_apart_by_the_threshold():
    low = np.float32(1.5)
    high = np.nextafter(low, np.float32(2))
    best = f1_max([low, high], [False, True])
    assert best.value == 1
    assert (np.array([low, high]) > best.threshold).tolist() == [False, True]


def test_confusion_by_hand():
    table = confusion([0.1, 0.6, 0.7, 0.2, 0.9], [0, 0, 1, 1, 1], above=0.5)
    assert (table.true_positives, table.false_positives) == (2, 1)
    assert (table.true_negatives, table.false_negatives) == (1, 1)
    assert table.accuracy == pytest.approx(3 / 5)
    assert table.precision == pytest.approx(2 / 3)
    assert table.recall == pytest.approx(2 / 3)
    assert table.fpr == pytest.approx(1 / 2)
    assert table.fnr == pytest.approx(1 / 3)
    assert table.f1 == pytest.approx(2 / 3)
    assert table.iou == pytest.approx(1 / 2)


def test_rates_of_nothing_are_not_numbers_and_null_in_json():
    table = confusion([0.1, 0.2], [False, False], above=0.5)
    assert np.isnan(table.recall) and np.isnan(table.precision)
    assert table.to_dict()["recall"] is None
    assert table.to_dict()["fpr"] == 0


def test_a_score_equal_to_the_threshold_passes():
    assert confusion([0.5], [False], above=0.5).false_positives == 0


@pytest.mark.parametrize("metric", [auroc, average_precision])
def test_a_missing_class_is_named(metric):
    with pytest.raises(EmptyData, match=r"no defective one was given \(3 good, 0 defective\)"):
        metric([1, 2, 3], [False] * 3)


def test_auroc_without_good_ones():
    with pytest.raises(EmptyData, match="no good one was given"):
        auroc([1, 2, 3], [True] * 3)


def test_nan_is_refused_with_its_place():
    with pytest.raises(BadLabels, match="1 of 3 are not, first nan at position 1"):
        auroc([1, np.nan, 3], [True, False, False])


def test_labels_and_scores_of_other_lengths():
    with pytest.raises(BadLabels, match=r"got \(3,\) and \(2,\)"):
        steps_of([1, 2, 3], [True, False])
    with pytest.raises(BadLabels, match=r"true \(defective\) or false"):
        steps_of([1, 2, 3], [0, 1, 2])


def test_inputs_stay_as_they_are():
    scores, labels = np.array([3.0, 1.0, 2.0]), np.array([True, False, True])
    auroc(scores, labels)
    assert scores.tolist() == [3, 1, 2]
    assert labels.tolist() == [True, False, True]
