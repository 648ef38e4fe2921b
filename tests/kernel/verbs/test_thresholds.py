"""``calibrate`` and ``evaluate`` of a check: which captures may be used, what is promised."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from toy_models import mvtec, part, save_image, toys

import triscope
from triscope.errors import EmptyData, LeakedData, PromiseTooLow, UsageError
from triscope.kernel.calibrate import RegionSize
from triscope.kernel.data import Sample
from triscope.kernel.runtime import Check

pytestmark = pytest.mark.usefixtures("toy_catalogue")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("thresholds")
    with pytest.MonkeyPatch.context() as patch:
        toys(patch)
        data = mvtec(place / "parts", good=75, test=4)
        triscope.fit("toy_watcher", data, out=place / "check", calibrate=0.8, engine="onnxruntime")
    return place


@pytest.fixture
def check(original: Path) -> Check:
    return triscope.open(original / "check")


def labelled(image: np.ndarray, label: str) -> Sample:
    return Sample(image, f"{label} part", label)


def test_fit_makes_the_lowest_promise_that_the_parts_allow(check: Check) -> None:
    zones = check.card.zones
    assert zones and zones.pixel_above is not None
    assert check.card.promise["false_reject"] == 0.0488  # 0.04870 rounded up
    assert "from 60 good parts" in zones.basis
    scores = sorted(check.reading(check.prepare(s)).score for s in check.seen.samples("calibrate"))
    assert zones.fail_above == scores[-1]


def test_a_lower_promise_needs_more_parts(check: Check) -> None:
    with pytest.raises(PromiseTooLow, match=r"60 good parts: nothing below 4\.9 % at 95 %"):
        check.calibrate(false_reject=0.01)
    wider = check.calibrate(false_reject=0.2)
    assert wider.fail_above < triscope.open(check.folder or "").card.zones.fail_above  # type: ignore[union-attr]
    assert check.card.promise["asked"]["false_reject"] == 0.2


def test_regions_too_small_to_matter_are_no_findings(check: Check) -> None:
    whole = check.inspect(part(7, defect=True))
    area = whole.findings[0].measures["area_px"]
    assert 150 < area < 280  # 12 x 16 pixels
    zones = check.calibrate(size=RegionSize(area_px=area + 50), mm_per_px=0.5)
    assert zones.min_area_px == area + 50
    assert check.inspect(part(7, defect=True)).findings == ()
    check.calibrate(size=RegionSize(area_px=area - 50))
    assert check.inspect(part(7, defect=True)).findings[0].measures["area_mm2"] > 35


def test_own_parts_replace_the_held_out_ones(check: Check, tmp_path: Path) -> None:
    for i in range(100, 130):
        save_image(tmp_path / "own" / f"{i}.png", part(i))
    check.calibrate(tmp_path / "own")
    assert len(check.seen.of("calibrate")) == 30 and check.card.promise["good_parts"] == 30
    assert len(check.seen.of("train")) == 15


def test_training_and_test_images_are_refused_with_the_reason(check: Check, original: Path) -> None:
    learned = [sample.source for sample in check.seen.samples("train")][:4]
    with pytest.raises(LeakedData, match=r"4 of the images given to calibrate.*fitted on them"):
        check.calibrate([*learned, part(500)])
    with pytest.raises(LeakedData, match=r"75 training and 8 test images and none to calibrate"):
        check.calibrate(original / "parts")


def test_cost_weighs_escapes_against_rejects(check: Check) -> None:
    wanted = {"cost_escape": 200, "cost_reject": 3}
    with pytest.raises(EmptyData, match="choosing by cost needs defects"):
        check.calibrate(**wanted)
    with pytest.raises(UsageError, match="not by both"):
        check.calibrate(**wanted, false_reject=0.1)
    with pytest.raises(UsageError, match="needs both cost_escape and cost_reject"):
        check.calibrate(cost_escape=200)
    good = [labelled(part(i), "good") for i in range(300, 320)]
    bad = [labelled(part(i, defect=True), "spot") for i in range(320, 326)]
    zones = check.calibrate([*good, *bad], **wanted)
    assert check.card.promise["kind"] == "cost" and check.card.promise["defects"] == 6
    assert check.inspect(part(7, defect=True)).verdict.outcome == "fail"
    assert check.inspect(part(8)).verdict.outcome == "pass"
    assert zones.basis.startswith("The lowest cost at 200 an escape, 3 a rejected good part")


def test_held_out_images_that_moved_are_missed(original: Path, tmp_path: Path) -> None:
    check = triscope.open(original / "check")
    check.seen.images = [
        type(image)(**{**image.__dict__, "source": str(tmp_path / image.name)})
        for image in check.seen.images
    ]
    with pytest.raises(EmptyData, match=r"none of the 60 images that toy_watcher@1 kept"):
        check.calibrate()


def test_evaluation_is_on_the_test_split_alone(check: Check, original: Path) -> None:
    stages: list[tuple[str, int, int | None]] = []
    found = check.evaluate(original / "parts", draws=20, progress=lambda *told: stages.append(told))
    assert found.images == {"good": 4, "defective": 4}
    assert found.image and found.image["auroc"].value == 1.0
    assert found.pixel and found.pixel["auroc"].value > 0.99
    assert found.outcomes and found.outcomes["defective"] == {"pass": 0, "review": 0, "fail": 4}
    assert stages[-1] == ("evaluate", 8, 8)


def test_a_mask_of_another_size_is_skipped_and_named(check: Check, tmp_path: Path) -> None:
    data = mvtec(tmp_path / "parts", good=1, test=3)
    cv2.imwrite(str(data / "ground_truth/spot/001_mask.png"), np.full((20, 20), 255, np.uint8))
    found = check.evaluate(data, draws=20)
    assert found.images == {"good": 3, "defective": 2}
    assert [s.source for s in check.skipped] == ["test/spot/001.png"]
    assert "20 x 20 pixels, its image 40 x 40" in check.skipped[0].error


def test_lines_by_hand_promise_nothing_and_last(check: Check, tmp_path: Path) -> None:
    zones = check.calibrate(fail_above=0.02, review_above=0.01)
    assert (zones.review_above, zones.fail_above, zones.pixel_above) == (0.01, 0.02, 0.01)
    assert zones.basis.startswith("Chosen by hand") and "nothing is promised" in zones.basis
    assert "above 0.02 fails, above 0.01 goes to a person;" in zones.basis
    check.save(tmp_path / "other", why="by hand")
    assert triscope.open(tmp_path / "other").card.promise["kind"] == "by hand"
    with pytest.raises(UsageError, match=r"nothing beside them: got fail_above, false_reject"):
        check.calibrate(fail_above=0.02, false_reject=0.1)
    with pytest.raises(UsageError, match=r"review starts below fail: review_above=0\.3"):
        check.calibrate(fail_above=0.2, review_above=0.3)
