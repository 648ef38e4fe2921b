"""Evaluations by hand: clicks, boxes, recall, precision, boundaries, groups, annotators."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from drawn_predictor import RADII, DrawnPredictor
from numpy.typing import NDArray

from triscope.errors import BadLabels, EmptyData
from triscope.kernel.geometry.rle import Rle
from triscope.segment.evaluate import boundaries, clicks, edges, groups
from triscope.segment.evaluate.agreement import agreement
from triscope.segment.evaluate.cases import Case, scenes
from triscope.segment.evaluate.instances import Detection, evaluate_instances, read_detections
from triscope.segment.evaluate.interactive import Clicked, curve, evaluate_clicks
from triscope.segment.evaluate.overlaps import Precision, Recall, mask_iou
from triscope.segment.evaluate.prompted import classical, evaluate_prompts, means

Bools = NDArray[np.bool_]


def disc(x: float, y: float, r: float, hw: tuple[int, int] = (64, 64)) -> Bools:
    rows, columns = np.ogrid[0 : hw[0], 0 : hw[1]]
    return np.asarray((columns - x) ** 2 + (rows - y) ** 2 <= r * r)


def block(x0: int, y0: int, x1: int, y1: int, hw: tuple[int, int] = (64, 64)) -> Bools:
    mask = np.zeros(hw, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def case(*masks: Bools, name: str = "one") -> Case:
    return Case(name, np.zeros((*masks[0].shape, 3), np.uint8), masks)


# ---- clicks


def test_the_centre_is_farthest_from_the_outside() -> None:
    assert clicks.centre_of(disc(20, 30, 9)) == (20, 30)


def test_the_border_of_the_image_is_outside() -> None:
    x, y = clicks.centre_of(block(0, 0, 64, 21))
    assert y == 10 and 10 <= x <= 53


def test_the_next_click_goes_to_the_thickest_error() -> None:
    truth = disc(20, 20, 9)
    assert clicks.next_click(np.zeros_like(truth), truth) == ((20, 20), 1)
    assert clicks.next_click(truth | disc(50, 50, 12), truth) == ((50, 50), 0)
    assert clicks.next_click(truth, truth) == ((20, 20), 1)


def test_a_moved_box_keeps_to_its_share_and_to_the_image() -> None:
    mask, rng = block(0, 10, 40, 30), np.random.default_rng(0)
    boxes = np.array([clicks.moved_box(mask, rng) for _ in range(500)])
    assert (boxes >= 0).all()
    assert np.abs(boxes[:, [1, 3]] - [10, 30]).max() <= 1 and np.abs(boxes[:, 2] - 40).max() <= 2
    assert boxes[:, 3].std() > 0.3


def test_empty_masks_are_named() -> None:
    with pytest.raises(BadLabels, match="an empty mask has no centre"):
        clicks.centre_of(np.zeros((4, 4), bool))
    with pytest.raises(BadLabels, match="an empty mask has no box"):
        clicks.tight_box(np.zeros((4, 4), bool))


# ---- prompts


def test_one_prompt_by_hand() -> None:
    truth = disc(30, 30, RADII[2])
    (row,) = evaluate_prompts(DrawnPredictor(), [case(truth)])
    small = disc(30, 30, RADII[1] - 1e-3)
    assert row.iou["point"] == pytest.approx(small.sum() / truth.sum(), abs=0.02)
    assert row.iou["best of 3"] > 0.95  # the largest disc, though not the most confident
    assert row.iou["box"] == pytest.approx(np.pi / 4, abs=0.06)
    assert means([row, row]) == pytest.approx(row.iou)


def test_baselines_find_a_clear_disc() -> None:
    truth = disc(30, 30, 15)
    image = np.where(truth[:, :, None], [200, 40, 40], [30, 60, 200]).astype(np.uint8)
    found = classical(image, clicks.tight_box(truth), clicks.centre_of(truth))
    for name, mask in found.items():
        assert (mask == truth).mean() > 0.99, name


def test_clicks_are_counted() -> None:
    rows = [Clicked("a", 0, (0.5, 0.8, 0.9)), Clicked("b", 0, (0.2, 0.3, 0.4))]
    assert rows[0].clicks_to(0.85) == 3 and rows[1].clicks_to(0.85) is None
    found = curve(rows, 0.85)
    assert found.clicks == 3 and found.reached == 0.5
    assert found.at(2) == pytest.approx(0.55)


def test_a_session_runs_all_clicks() -> None:
    (row,) = evaluate_clicks(DrawnPredictor(), [case(disc(30, 30, 12))], clicks=3)
    assert len(row.iou) == 3 and row.iou[0] > 0.8


def test_generated_scenes_are_cases() -> None:
    found = list(scenes(2, (64, 64)))
    assert found and all(mask.any() for one in found for mask in one.masks)


# ---- recall and precision


def test_overlaps_of_many() -> None:
    rng = np.random.default_rng(0)
    masks = [
        block(*sorted(rng.integers(0, 30, 2)), *(33 + rng.integers(0, 30, 2))) for _ in range(5)
    ]
    rles = [Rle.encode(mask) for mask in masks]
    byhand = np.array([[(a & b).sum() / (a | b).sum() for b in masks] for a in masks])
    assert np.allclose(mask_iou(rles, rles), byhand)


def test_recall_by_hand() -> None:
    truth = [block(0, 0, 20, 20), block(30, 30, 60, 60)]
    found = [block(0, 0, 20, 15), block(30, 30, 60, 60), block(0, 0, 20, 20)]
    recall = Recall(most=2)
    recall.add([Rle.encode(m) for m in found], [Rle.encode(m) for m in truth])
    # Overlaps 0.75 and 1: the first counts at 0.5 to 0.75, which is six of ten thresholds.
    assert recall.average() == pytest.approx((0.6 + 1) / 2)
    assert recall.average("small") == pytest.approx(0.8)  # both below 32x32
    assert np.isnan(recall.average("large"))


def test_a_proposal_covers_one_mask_only() -> None:
    recall, twice = Recall(), [block(0, 0, 20, 20), block(0, 0, 20, 19)]
    recall.add([Rle.encode(twice[0])], [Rle.encode(m) for m in twice])
    assert recall.average() == 0.5


def test_precision_by_hand() -> None:
    """Found: right, wrong, right of three true ones; AP50 = mean over 101 recalls."""
    precision = Precision()
    precision.add([0.9, 0.8, 0.7], np.array([[1.0, 0, 0], [0, 0, 0], [0, 1.0, 0]]))
    recalls = np.linspace(0, 1, 101)
    expected = np.where(recalls <= 1 / 3, 1.0, np.where(recalls <= 2 / 3, 2 / 3, 0)).mean()
    assert precision.to_dict()["AP50"] == pytest.approx(expected)
    assert precision.to_dict()["AP"] == pytest.approx(expected)


def test_a_second_mask_of_one_thing_is_wrong() -> None:
    precision = Precision()
    precision.add([0.9, 0.8], np.array([[1.0], [0.9]]))
    assert precision.to_dict()["AP50"] == pytest.approx(1)
    worse = Precision()
    worse.add([0.8, 0.9], np.array([[1.0], [0.9]]))  # the copy is more confident
    assert worse.to_dict()["AP"] == pytest.approx(np.mean([1] * 9 + [0.5]))


def test_boxes_become_masks() -> None:
    one = case(block(10, 10, 30, 40), block(40, 5, 60, 25))
    found = evaluate_instances(DrawnPredictor(), [one])
    assert found["AP"] == pytest.approx(1) and found["masks"] == 2
    some = {"one": [Detection((10, 10, 30, 40), 0.9), Detection((0, 50, 9, 60), 0.3)]}
    assert evaluate_instances(DrawnPredictor(), [one], some)["AP50"] == pytest.approx(51 / 101)


def test_results_of_a_detector(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps([{"image_id": 7, "bbox": [1, 2, 3, 4], "score": 0.5}]))
    assert read_detections(path, {7: "a"})["a"][0].box == (1, 2, 4, 6)
    path.write_text('[{"image_id": 7')
    with pytest.raises(BadLabels, match=r"results\.json is not a list of COCO results"):
        read_detections(path, {7: "a"})


# ---- boundaries


def test_a_boundary_goes_around_but_not_along_the_border() -> None:
    edge = boundaries.boundary_of(block(0, 0, 10, 64))
    assert edge.sum() == 64 and edge[:, 9].all()


def test_matching_is_one_to_one() -> None:
    found, truth = np.zeros((9, 9), bool), np.zeros((9, 9), bool)
    found[4, 2:5] = True
    truth[4, 4] = True
    hit, drawn = boundaries.matched(found, truth, 3.0)
    assert hit.sum() == 1 and drawn.sum() == 1


def test_f_of_a_shifted_boundary() -> None:
    a, b = block(10, 10, 40, 40), block(12, 10, 42, 40)
    assert boundaries.boundary_f(a, a) == 1
    assert boundaries.boundary_f(a, b, tolerance_px=2.5) == 1
    assert boundaries.boundary_f(a, b, tolerance_px=0.5) < 0.8


def test_scores_of_edges() -> None:
    drawing = np.zeros((40, 40), bool)
    drawing[20] = True
    exact = boundaries.EdgeScores(steps=9)
    exact.add(drawing.astype(np.float32), [drawing])
    told = exact.to_dict()
    assert told["ODS"] == told["OIS"] == 1 and told["AP"] == pytest.approx(1)
    noisy = boundaries.EdgeScores(steps=9)
    strength = drawing * 0.9
    strength[5] = 0.4  # a false edge, weaker
    noisy.add(strength.astype(np.float32), [drawing])
    assert noisy.to_dict()["ODS"] == 1 and 0.4 < noisy.to_dict()["threshold"] <= 0.9


def test_edges_lie_on_the_outer_boundary() -> None:
    logits = np.where(block(20, 20, 44, 44), 6, -6).astype(np.float32)
    found = edges.mask_edges(logits)
    assert found[19, 30] > 0 and found[20, 30] == 0 and found[30, 30] == 0 and found[5, 5] == 0


def test_thinning_keeps_the_ridge() -> None:
    strength = np.zeros((40, 40), np.float32)
    for row, value in ((18, 0.3), (19, 0.7), (20, 1.0), (21, 0.7), (22, 0.3)):
        strength[row] = value
    thin = edges.thinned(strength)
    inside = thin[:, 5:-5]
    assert (inside[20] == 1).all() and (inside[[18, 19, 21, 22]] == 0).all()


# ---- groups and people


def test_groups_that_differ_are_named() -> None:
    rng = np.random.default_rng(0)
    table = {"a": rng.normal(0.8, 0.05, 200), "b": rng.normal(0.6, 0.05, 200)}
    table["c"] = rng.normal(0.8, 0.05, 30)
    found = groups.by_group({k: v.tolist() for k, v in table.items()})
    a = found[0]
    error = np.std(table["a"]) / np.sqrt(200)
    assert a.high - a.low == pytest.approx(2 * 1.96 * error, rel=0.15)
    assert groups.apart(found) == [("a", "b"), ("b", "c")]


def test_a_table_of_groups(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_text("name,group\na.png,left\nb.png,right\n")
    table = groups.read_groups(path)
    assert groups.grouped([("a.png", 0.5), ("b.png", 0.7)], table) == {
        "left": [0.5],
        "right": [0.7],
    }
    with pytest.raises(BadLabels, match=r"1 images have no group, first c\.png"):
        groups.grouped([("c.png", 0.5)], table)
    path.write_text("file,line\na.png,left\n")
    with pytest.raises(BadLabels, match="lacks the column group and name"):
        groups.read_groups(path)


def test_agreement_of_two() -> None:
    first, second = block(10, 10, 30, 30), block(10, 10, 30, 28)
    told = agreement([(first, second), (first, first)]).to_dict()
    assert told["mean IoU"] == pytest.approx(0.95) and told["share above 0.9"] == 0.5
    assert told["mean boundary F"] > 0.8
    with pytest.raises(EmptyData, match="no pair of masks"):
        agreement([])
