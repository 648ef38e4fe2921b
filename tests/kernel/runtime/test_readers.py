"""The readers of every kind of answer, on graphs of a few nodes whose answers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_checks import SIZE, tiny_check

import triscope
from triscope.errors import CheckTooNew
from triscope.kernel.data import BoxLabel, Sample
from triscope.kernel.results import Inspection, Zones


def grey(value: int, hw: tuple[int, int] = SIZE) -> np.ndarray:
    return np.full((*hw, 3), value, np.uint8)


def test_heat_maps_give_regions_in_pixels_of_the_capture(tmp_path: Path) -> None:
    zones = Zones(0.4, 0.6, pixel_above=0.5)
    check = triscope.open(tiny_check(tmp_path / "c", zones=zones, mm_per_px=0.5))
    image = grey(51, (64, 128))  # twice as tall and four times as wide as the input
    image[16:32, 64:96] = 255
    found = check.inspect(image)
    assert found.verdict.outcome == "fail" and found.score == pytest.approx(1.0)
    (finding,) = found.findings
    assert finding.box == (64, 16, 96, 32)
    assert finding.measures["area_px"] == 16 * 32
    assert finding.measures["length_mm"] == 16 and finding.measures["width_mm"] == 8
    assert found.heatmap is not None and found.heatmap.values.shape == SIZE
    assert found.image_size == (64, 128)
    assert found.heatmap.at_image_size().shape == (64, 128)


def test_windows_of_a_large_image_are_blended_and_the_worst_counts(tmp_path: Path) -> None:
    zones = Zones(0.4, 0.6, pixel_above=0.5)
    folder = tiny_check(tmp_path / "c", tile=32, overlap=8, zones=zones)
    image = grey(51, (100, 150))
    image[70:80, 110:120] = 255
    found = triscope.open(folder).inspect(image)
    assert found.heatmap is not None
    assert np.allclose(found.heatmap.values, image[..., 0] / 255, atol=1e-5)
    assert [f.box for f in found.findings] == [(110, 70, 120, 80)]


def test_a_large_image_never_lies_in_memory_as_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_check(tmp_path / "c", tile=32, overlap=16)
    check = triscope.open(folder)
    together: list[int] = []
    run = check.engine.run

    def counted(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        together.append(len(inputs["images"]))
        return run(inputs)

    monkeypatch.setattr(check.engine, "run", counted)
    image = np.random.default_rng(0).integers(0, 255, (300, 500, 3), np.uint8)
    prepared = check.prepare(Sample(image, "large"))
    assert not isinstance(prepared.inputs["images"], np.ndarray)
    assert prepared.inputs["images"].shape == (18 * 31, 3, 32, 32)
    heat = check.reading(prepared).heatmap
    assert sum(together) == 18 * 31 and max(together) == check.rows_at_once
    assert heat is not None and np.allclose(heat.values, image.mean(2) / 255, atol=1e-5)
    both = [check.inspect(image).score, check.inspect(image[:100]).score]
    assert both == [i.score for i in check.inspect_many([image, image[:100]], batch=2)]


def test_a_letterbox_keeps_the_aspect_and_its_bars_are_cut_off(tmp_path: Path) -> None:
    folder = tiny_check(tmp_path / "c", input={"fit": "letterbox"})
    image = grey(51, (32, 64))
    image[:, 48:] = 255
    found = triscope.open(folder).inspect(image)
    assert found.heatmap is not None
    assert found.heatmap.values.shape == (16, 32)
    assert np.allclose(found.heatmap.values[:, :24], 0.2)
    assert np.allclose(found.heatmap.values[:, 24:], 1.0)


def test_boxes_come_back_to_the_capture_strongest_first(tmp_path: Path) -> None:
    folder = tiny_check(tmp_path / "c", "Boxes", classes=("scratch", "dent"), mm_per_px=2.0)
    check = triscope.open(folder)
    image = np.zeros((64, 32, 3), np.uint8)
    image[..., 0], image[..., 1] = 102, 204
    found = check.inspect(image)
    assert found.score == pytest.approx(0.8)
    assert [(f.label, round(f.score, 3), f.box) for f in found.findings] == [
        ("dent", 0.8, (16, 32, 32, 64)),
        ("scratch", 0.4, (2, 8, 10, 40)),
    ]
    assert found.findings[1].measures["length_mm"] == 64
    assert found.verdict.outcome == "review" and "calibrate" in found.verdict.reason


def test_boxes_below_the_threshold_are_no_findings(tmp_path: Path) -> None:
    zones = Zones(0.7, 0.9, pixel_above=0.5)
    folder = tiny_check(tmp_path / "c", "Boxes", classes=("scratch", "dent"), zones=zones)
    image = np.zeros((*SIZE, 3), np.uint8)
    image[..., 0], image[..., 1] = 102, 204
    found = triscope.open(folder).inspect(image)
    assert [f.label for f in found.findings] == ["dent"]
    assert found.verdict.outcome == "review"


def test_a_part_that_passes_has_no_boxes_but_metrics_see_them(tmp_path: Path) -> None:
    folder = tiny_check(tmp_path / "c", "Boxes", classes=("scratch", "dent"), zones=Zones(0.9, 0.9))
    check = triscope.open(folder)
    image = np.full((*SIZE, 3), 128, np.uint8)
    found = check.inspect(image)
    assert found.verdict.outcome == "pass" and found.findings == ()
    sample = Sample(image, "one", "dent", boxes=(BoxLabel("dent", (16, 16, 32, 32)),))
    clean = Sample(np.zeros((*SIZE, 3), np.uint8), "two", "good")
    known = check.evaluate([sample, clean], draws=10).known
    assert known is not None and known["map_50"] == 1.0
    reading = check.reading(check.prepare(sample))
    assert [f.label for f in reading.candidates] == ["scratch", "dent"]


def test_boxes_of_many_captures_and_windows_stay_with_their_capture(tmp_path: Path) -> None:
    folder = tiny_check(tmp_path / "c", "Boxes", classes=("scratch", "dent"), tile=32)
    check = triscope.open(folder)
    images = [np.full((32 * n, 32, 3), 40 * n, np.uint8) for n in (1, 2, 3)]
    alone = [check.inspect(image) for image in images]
    together = list(check.inspect_many(images, batch=3))
    for n, (one, other) in enumerate(zip(alone, together, strict=True), start=1):
        assert isinstance(other, Inspection)
        assert len(one.findings) == 2 * n
        assert [f.to_dict() for f in one.findings] == [f.to_dict() for f in other.findings]
        assert {f.box[1] for f in one.findings if f.label == "dent" and f.box} == {
            16.0 + 32 * i for i in range(n)
        }


def test_a_box_that_two_windows_saw_is_one_finding(tmp_path: Path) -> None:
    folder = tiny_check(tmp_path / "c", "Boxes", classes=("a", "b"), tile=32, overlap=28)
    image = np.full((32, 36, 3), 128, np.uint8)  # windows at 0 and 4: the boxes overlap by half
    found = triscope.open(folder).inspect(image)
    boxes = sorted(f.box for f in found.findings if f.label == "b" and f.box)
    assert boxes == [(16, 16, 32, 32)]


def test_the_class_is_the_most_probable_and_its_map_is_the_evidence(tmp_path: Path) -> None:
    classes = ("good", "scratch", "dent")
    zones = Zones(0.5, 0.9, pixel_above=0.5)
    check = triscope.open(tiny_check(tmp_path / "c", "Label", classes=classes, zones=zones))
    image = np.zeros((*SIZE, 3), np.uint8)
    image[8:16, 4:28, 1] = 255
    image[..., 2] = 20
    found = check.inspect(image)
    means = image.reshape(-1, 3).mean(0) / 255 * 10
    expected = np.exp(means) / np.exp(means).sum()
    assert found.score == pytest.approx(1 - expected[0], abs=1e-5)
    assert found.details["label"] == "scratch"
    assert found.details["probabilities"]["dent"] == pytest.approx(expected[2], abs=1e-5)
    assert [(f.label, f.box) for f in found.findings] == [("scratch", (4, 8, 28, 16))]
    good = np.zeros((*SIZE, 3), np.uint8)
    good[..., 0] = 255
    assert check.inspect(good).findings == ()
    assert check.inspect(good).verdict.outcome == "pass"
    check.card = check.card.with_(zones=Zones(0.9, 0.95))
    assert check.inspect(image).verdict.outcome == "pass" and check.inspect(image).findings == ()


def test_classes_without_good_are_all_findings(tmp_path: Path) -> None:
    folder = tiny_check(tmp_path / "c", "Label", classes=("crack", "scratch", "dent"))
    image = np.zeros((*SIZE, 3), np.uint8)
    image[..., 2] = 255
    found = triscope.open(folder).inspect(image)
    assert [f.label for f in found.findings] == ["dent"]
    assert found.score == pytest.approx(np.exp(10) / (np.exp(10) + 2))
    assert found.to_dict()["details"]["label"] == "dent"


@pytest.mark.parametrize("first", ["background", "stain"])
def test_masks_give_regions_of_each_class(tmp_path: Path, first: str) -> None:
    folder = tiny_check(tmp_path / "c", "Masks", classes=(first, "scratch", "dent"))
    image = np.zeros((*SIZE, 3), np.uint8)
    image[..., 0] = 255  # the first class everywhere
    image[4:8, 4:20] = (0, 255, 0)
    image[20:24, 10:14] = (0, 0, 255)
    found = triscope.open(folder).inspect(image)
    places = {(f.label, f.box) for f in found.findings}
    wanted = {("scratch", (4, 4, 20, 8)), ("dent", (10, 20, 14, 24))}
    if first == "background":
        assert places == wanted
        inside = np.asarray(image[..., 0] == 0)
        assert found.heatmap is not None
        assert np.array_equal(found.heatmap.values > 0.5, inside)
    else:
        assert places == {*wanted, ("stain", (0, 0, 32, 32))}
    assert found.score == pytest.approx(1, abs=1e-3)


def test_an_answer_of_another_version_is_refused_in_words(tmp_path: Path) -> None:
    from triscope.kernel.runtime import check_class

    with pytest.raises(CheckTooNew, match="answers 'Smell'; this Triscope reads Heatmap, Boxes"):
        check_class("Smell")
