"""Evaluation: one object from a stream of cases, every figure against its own metric."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from slow_metrics import painted, slow_aupro, slow_auroc

from triscope.errors import BadLabels
from triscope.kernel.metrics import Case, evaluate
from triscope.kernel.metrics.binomial import share_interval
from triscope.kernel.results import Heatmap, Zones

ZONES = Zones(review_above=2.5, fail_above=3.0, pixel_above=1.5)


def cases(seed=0, images=12):
    maps, masks = painted(seed, images=images)
    for i, (heat, mask) in enumerate(zip(maps, masks, strict=True)):
        label = "good" if mask is None else ("scratch", "dent")[i % 2]
        yield Case(f"{i}.png", label, Heatmap(heat, float(heat.max()), heat.shape), mask)


def some(**options):
    return evaluate(cases(), draws=50, **options)


def test_image_metrics_have_intervals():
    seen = list(cases())
    result = some()
    scores, bad = [c.heat.score for c in seen], [c.label != "good" for c in seen]
    value = result.image["auroc"]
    assert value.value == pytest.approx(slow_auroc(scores, bad))
    assert value.low <= value.value <= value.high
    assert result.images == {"good": bad.count(False), "defective": bad.count(True)}
    assert set(result.image) == {"auroc", "average_precision", "f1_max"}


def test_pixel_metrics_are_those_of_all_pixels():
    maps, masks = painted(0, images=12)
    pixel = some().pixel
    for name, limit in (("aupro_30", 0.3), ("aupro_05", 0.05)):
        slow = slow_aupro(maps, masks, limit)
        assert abs(pixel[name].value - slow) <= pixel[name].error + 1e-9
    exact = some(exact=True).pixel
    assert exact["aupro_30"].error == exact["iou_max"].error == 0
    assert pixel["dice_max"].value == pytest.approx(exact["dice_max"].value, abs=1e-3)
    dice = exact["dice_max"].value
    assert exact["iou_max"].value == pytest.approx(dice / (2 - dice))


def test_each_type_is_compared_with_all_good_ones():
    seen = list(cases())
    rows = {row.name: row for row in some(zones=ZONES).types}
    assert set(rows) == {"dent", "scratch"}
    chosen = [c for c in seen if c.label in ("good", "dent")]
    scores, bad = [c.heat.score for c in chosen], [c.label == "dent" for c in chosen]
    assert rows["dent"].auroc == pytest.approx(slow_auroc(scores, bad))
    assert sum(rows["dent"].outcomes.values()) == rows["dent"].images == sum(bad)
    slow = slow_aupro([c.heat.values for c in chosen], [c.mask for c in chosen], 0.3)
    assert rows["dent"].aupro.value == pytest.approx(slow, abs=1e-3)


def test_zones_decide_outcomes_mistakes_and_exact_intervals():
    heats = {"a": 1.0, "b": 2.7, "c": 3.5, "d": 2.0, "e": 5.0, "f": 9.0}
    labels = dict.fromkeys("abc", "good") | dict.fromkeys("def", "scratch")
    result = evaluate(
        [Case(name, labels[name], score) for name, score in heats.items()], zones=ZONES, draws=10
    )
    assert result.outcomes["good"] == {"pass": 1, "review": 1, "fail": 1}
    assert result.outcomes["defective"] == {"pass": 1, "review": 0, "fail": 2}
    assert [(m["name"], m["verdict"]) for m in result.mistakes] == [("d", "pass"), ("c", "fail")]
    assert result.confusion.true_positives == 2
    assert result.intervals["escape"] == share_interval(1, 3)
    assert result.intervals["false_reject"] == share_interval(1, 3)
    assert result.pixel is None


def test_the_sweep_runs_from_all_called_to_none_missed():
    result = some()
    thresholds = [row["threshold"] for row in result.sweep]
    assert thresholds == sorted(thresholds)
    assert result.sweep[0]["recall"] == 1
    assert max(row["f1"] for row in result.sweep) == pytest.approx(result.image["f1_max"].value)


def test_maps_are_compared_at_the_size_of_the_capture():
    mask = np.zeros((32, 48), bool)
    mask[4:20, 6:30] = True
    heat = cv2.resize(mask.astype(np.float32), (12, 8))
    result = evaluate(
        [Case("x", "hole", Heatmap(heat, 1.0, (32, 48)), mask), Case("y", "good", 0.1)], draws=5
    )
    assert result.pixel["auroc"].value > 0.95


def test_what_could_not_be_measured_is_said():
    good = [Case("g", "good", Heatmap(np.ones((4, 4), np.float32), 1.0, (4, 4)))]
    only_good = evaluate(good, zones=ZONES)
    assert only_good.image is None and only_good.pixel is None
    assert only_good.notes == ("No defective image was given: only false rejects are known.",)
    assert only_good.intervals["escape"] == (0, 1)
    unmarked = [Case("b", "dent", Heatmap(np.ones((4, 4), np.float32), 1.0, (4, 4)))]
    assert evaluate(good + unmarked, draws=5).notes == (
        "1 defective image has no mask and stayed out of the pixel metrics.",
    )
    assert evaluate(unmarked * 2).notes[0] == "No good image was given: only escapes are known."
    assert evaluate([]).images == {"good": 0, "defective": 0}


def test_a_bound_that_is_too_wide_is_said():
    rng = np.random.default_rng(0)
    heat = (1000 + rng.normal(size=(32, 32)) / 100).astype(np.float32)
    heat[0, 0] = -1000
    mask = rng.random((32, 32)) < 0.3
    notes = evaluate([Case("x", "dent", Heatmap(heat, 1.0, (32, 32)), mask)]).notes
    assert any("ask for exact ones" in note for note in notes)


def test_a_bad_case_is_named():
    with pytest.raises(BadLabels, match=r"7\.png: scores must be finite"):
        evaluate([Case("7.png", "good", float("nan"))])
    heat = Heatmap(np.ones((4, 4), np.float32), 1.0, (4, 4))
    with pytest.raises(BadLabels, match=r"8\.png: a mask is bool and as large as its map"):
        evaluate([Case("8.png", "dent", heat, np.ones((2, 2), bool))])


def test_json():
    plain = json.loads(json.dumps(some(zones=ZONES).to_dict(), allow_nan=False))
    assert plain["image"]["auroc"].keys() == {"value", "low", "high", "confidence"}
    assert plain["pixel"]["aupro_30"].keys() == {"value", "error", "threshold"}
    assert plain["pixel_confusion"]["iou"] >= 0
    assert plain["types"][0]["outcomes"].keys() == {"pass", "review", "fail"}
    assert plain["zones"]["fail_above"] == 3.0
    json.dumps(evaluate([]).to_dict(), allow_nan=False)
