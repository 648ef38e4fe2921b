"""Weakly supervised localisation: labels in, regions out, scored against masks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import triscope
from triscope.kernel.calibrate import RegionSize
from triscope.kernel.data import Dataset, Sample
from triscope.kernel.metrics.overlap import mask_confusion
from triscope.kernel.runtime.drawn_regions import pixels_of

SETTINGS: dict[str, Any] = {
    "backbone": "resnet10t",
    "weights": "random:0",
    "size": 64,
    "width": 8,
    "steps": 25,
    "warm_up": 0,
    "batch": 4,
    "learning_rate": 1e-2,
    "augment": False,
}


def parts(count: int, seed: int, split: Any) -> list[Sample]:
    """Grey parts; every other one has a bright spot, drawn."""
    rng = np.random.default_rng(seed)
    samples = []
    for i in range(count):
        image = rng.integers(100, 120, (64, 64), np.uint8)
        mask = np.zeros((64, 64), np.bool_)
        if i % 2:
            y, x = rng.integers(2, 34, 2)
            mask[y : y + 28, x : x + 28] = True
            image[mask] = 230
        known = ("spot", mask) if i % 2 else ("good", None)
        samples.append(Sample(image, f"{split}{i}", known[0], known[1], split=split))
    return samples


@pytest.fixture(scope="module")
def data() -> Dataset:
    found = [*parts(16, 0, "train"), *parts(8, 1, "calibrate"), *parts(8, 2, "test")]
    return Dataset(tuple(found), classes=("spot",))


@pytest.fixture(scope="module")
def check(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("weak") / "check"
    triscope.fit("classifier", data, SETTINGS, out=folder)
    return triscope.open(folder)


def test_the_threshold_is_the_best_one_of_the_calibration_split(check: Any, data: Dataset) -> None:
    zones = check.card.zones
    assert "agree best with the masks of 4 held-out parts" in zones.basis
    held = data.split("calibrate")
    pixels = pixels_of(check, held)
    tables = []
    for factor in (0.7, 1.0, 1.4):
        total = None
        for sample, reading in check.readings(held):
            if reading.details["label"] != "good":
                found = reading.heatmap.at_image_size() > zones.pixel_above * factor
                truth = sample.mask if sample.mask is not None else np.zeros_like(found)
                one = mask_confusion(found, truth)
                total = one if total is None else total + one
        assert total is not None
        tables.append(total.f1)
    assert tables[1] == max(tables)
    assert pixels.f1_max().value == pytest.approx(tables[1], abs=2e-3)
    assert check.card.promise["regions"]["dice"] == pytest.approx(tables[1], abs=2e-3)


def test_regions_are_scored_on_the_test_split_and_found(check: Any, data: Dataset) -> None:
    known = check.evaluate(data, draws=10).known
    assert known["regions"]["above"] == check.card.zones.pixel_above
    assert 0.2 < known["regions"]["iou"] < known["regions"]["dice"] <= 1
    assert [row["name"] for row in known["regions"]["types"]] == ["spot"]
    spot = next(s for s in data.split("test") if not s.good)
    found = check.inspect(spot.source)
    assert found.findings and found.findings[0].outline and found.findings[0].label == "spot"


def test_without_masks_there_are_no_regions(check: Any, data: Dataset) -> None:
    bare = [replace(sample, mask=None) for sample in data.split("test")]
    assert check.evaluate(bare, draws=10).known["regions"] is None


def test_an_opened_check_without_masks_at_hand_keeps_its_threshold(check: Any) -> None:
    above = check.card.zones.pixel_above
    assert check.held is None
    zones = check.calibrate(fail_above=0.7)
    assert zones.pixel_above == above


def test_lines_by_hand_keep_the_regions(check: Any, tmp_path: Path) -> None:
    above = check.card.zones.pixel_above
    check.held = Dataset(tuple(parts(8, 1, "calibrate")))
    zones = check.calibrate(fail_above=0.6, size=RegionSize(area_px=9))
    assert zones.fail_above == 0.6 and zones.min_area_px == 9
    assert zones.pixel_above == pytest.approx(above, rel=1e-3)
