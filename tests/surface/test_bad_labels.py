"""Labels that are wrong or missing: what somebody who fits is told, and what is learned from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import triscope
from triscope.errors import BadLabels, EmptyData
from triscope.kernel.data import BoxLabel, Dataset, Sample
from triscope.surface.teachable import teachable

Box = tuple[float, float, float, float]
TINY: dict[str, Any] = {"backbone": "resnet10t", "weights": "random:0", "size": 64, "width": 8}
DETECTOR: dict[str, Any] = {
    **TINY,
    "hidden": 8,
    "anchors": (20.0,),
    "proposals": 5,
    "training": "joint",
    "steps": 1,
}
CLASSIFIER: dict[str, Any] = {**TINY, "steps": 1, "warm_up": 0, "batch": 2}
GOOD_BOX: Box = (10, 10, 30, 30)


def part(name: str, label: str | None, *boxes: tuple[str, Box]) -> Sample:
    rng = np.random.default_rng(len(name))
    image = rng.integers(0, 255, (60, 80), np.uint8)
    image[0, 0] = hash_of(name)
    return Sample(image, name, label, boxes=tuple(BoxLabel(*box) for box in boxes))


def hash_of(name: str) -> int:
    """Images of different names differ."""
    return sum(name.encode()) % 256


def data(*samples: Sample, classes: tuple[str, ...] = ()) -> Dataset:
    return Dataset(samples, root="parts", classes=classes)


def fitted(samples: Dataset, **changes: Any) -> Any:
    return triscope.fit("ddn", samples, {**DETECTOR, **changes}, calibrate=0)


def test_boxes_outside_flat_and_twice_are_told_and_left_out() -> None:
    samples = data(
        part("a", "dent", ("dent", GOOD_BOX), ("dent", GOOD_BOX)),
        part("b", "dent", ("dent", (70, 50, 95, 70)), ("dent", (5, 5, 5, 20))),
        part("c", "dent", ("dent", (100, 10, 120, 30))),
        part("d", "dent"),
        part("e", None),
        part("f", "good"),
    )
    check = fitted(samples)
    assert check.problems == (
        "boxes given twice were counted once: 1 (a)",
        "boxes that reach outside their image were clipped: 1 (b)",
        "boxes without area were left out: 1 (b)",
        "boxes wholly outside their image were left out: 1 (c)",
        "images without a usable box were left out: 1 (c)",
        "images of a defect without boxes were left out: 1 (d)",
        "images without a label were left out: 1 (e)",
    )
    kept, _ = teachable(samples, ("dent",), "boxes")
    assert [sample.name for sample in kept] == ["a", "b", "f"]
    assert check.card.data["train"] == 3  # the others taught nothing
    assert [box.box for box in kept[1].boxes] == [(70, 50, 80, 60)]


def test_classes_that_are_not_in_the_list_are_background() -> None:
    samples = data(
        part("a", "dent", ("dent", GOOD_BOX), ("dust", GOOD_BOX)),
        part("b", "dust", ("dust", GOOD_BOX)),
    )
    check = fitted(samples, classes=("dent", "scrach"))
    assert check.card.classes == ("dent", "scrach")
    assert check.problems == (
        "boxes of a class that is not in the list of classes were left out: 2 (a, b)",
        "classes that no image to learn from shows: 1 (scrach)",
    )
    kept, _ = teachable(samples, ("dent",), "boxes")
    assert [len(sample.boxes) for sample in kept] == [1, 0]


def test_one_class_is_enough_for_a_detector_and_too_few_for_a_classifier() -> None:
    dents = data(part("a", "dent", ("dent", GOOD_BOX)), part("b", "dent", ("dent", GOOD_BOX)))
    assert fitted(dents).card.classes == ("dent",)
    with pytest.raises(BadLabels, match="classifier learns to tell classes, but parts names dent"):
        triscope.fit("classifier", dents, CLASSIFIER, calibrate=0)


def test_no_label_at_all_is_refused() -> None:
    bare = data(part("a", None), part("b", None))
    with pytest.raises(BadLabels, match=r"ddn learns to tell classes, but parts names none"):
        fitted(bare)
    named = data(part("a", "dent"), part("b", "dent"))
    with pytest.raises(EmptyData, match="images of a defect without boxes were left out: 2"):
        fitted(named)


def test_a_classifier_learns_good_beside_the_defects_of_a_layout() -> None:
    samples = data(
        *(part(f"{n}{i}", n) for n in ("good", "dent") for i in range(3)), classes=("dent",)
    )
    check = triscope.fit("classifier", samples, CLASSIFIER, calibrate=0)
    assert check.card.classes == ("good", "dent") and check.problems == ()


def test_a_class_with_one_image_teaches_and_is_told() -> None:
    rare = part("rare", "crack")
    many = [part(f"{n}{i}", n) for n in ("good", "dent") for i in range(4)]
    stranger = part("stranger", None)
    told: set[str] = set()
    for seed in range(3):
        samples = data(*many, rare, stranger)
        settings = CLASSIFIER
        check = triscope.fit("classifier", samples, settings, calibrate=0.5, seed=seed)
        assert check.card.classes == ("good", "crack", "dent")
        names = {image.name for image in check.seen.of("train")}
        assert "rare" in names
        told |= {line.partition(":")[0] for line in check.problems}
    assert "classes with so few images that none could be held out" in told
    assert "images without a label were left out" in told


def test_images_without_a_label_choose_no_threshold() -> None:
    known = [part(f"{n}{i}", n) for n in ("good", "dent") for i in range(4)]
    strangers = [part(f"stranger{i}", None) for i in range(20)]
    for held in (0.5, data(*known[:2], *strangers)):
        samples = data(*(known if held == 0.5 else known[2:]), *strangers)
        check = triscope.fit("classifier", samples, CLASSIFIER, calibrate=held)
        names = [image.name for image in check.seen.of("calibrate")]
        assert names and not any("stranger" in name for name in names)


def test_images_of_another_class_do_not_teach_a_classifier() -> None:
    samples = data(*(part(f"{n}{i}", n) for n in ("good", "dent", "dust") for i in range(2)))
    settings = {**CLASSIFIER, "classes": ("good", "dent")}
    check = triscope.fit("classifier", samples, settings, calibrate=0)
    assert check.problems == ("images of a class that is not learned (dust): 2 (dust0, dust1)",)


def test_masks_that_are_missing_are_told() -> None:
    mask = np.zeros((60, 80), np.bool_)
    mask[5:20, 5:20] = True
    drawn = replace(part("a", "dent"), mask=mask)
    samples = data(drawn, part("b", "dent"), part("c", None), part("d", "good"))
    kept, problems = teachable(samples, ("dent",), "mask")
    assert [sample.name for sample in kept] == ["a", "d"]
    assert problems == (
        "images of a defect without a mask were left out: 1 (b)",
        "images without a label were left out: 1 (c)",
    )


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Two images; annotations of an image and of a category that nobody lists, and without id."""
    for i in (1, 2):
        image = np.random.default_rng(i).integers(0, 255, (60, 80), np.uint8)
        cv2.imwrite(str(tmp_path / f"{i}.png"), image)
    box = [10, 10, 20, 20]
    content = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 80, "height": 60} for i in (1, 2)],
        "categories": [{"id": 1, "name": "dent"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": box},
            {"id": 2, "image_id": 9, "category_id": 1, "bbox": box},
            {"id": 3, "image_id": 2, "category_id": 7, "bbox": box},
            {"image_id": 2, "category_id": 1, "bbox": [0, 0, 0, 9]},
        ],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    return tmp_path


def test_coco_with_missing_ids_is_fitted_and_told(coco: Path) -> None:
    check = triscope.fit("ddn", coco, DETECTOR, calibrate=0)
    assert check.card.classes == ("dent",)
    told = "\n".join(check.problems)
    for line in (
        "annotations belong to no image: 1 (annotations.json image_id 9)",
        "annotations name a category that is not there: 1 (2.png)",
        "boxes without area were left out: 1 (2.png)",
        "images of which no box can be used stay without label: 1 (2.png)",
        "images without a label were left out: 1 (2.png)",
    ):
        assert line in told
    assert [image.name for image in check.seen.of("train")] == ["1.png"]


def test_an_entity_bomb_is_refused_by_fit(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((60, 80), np.uint8))
    entities = '<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">'
    content = "<annotation><filename>&b;</filename></annotation>"
    bomb = f'<?xml version="1.0"?><!DOCTYPE x [{entities}]>{content}'
    (tmp_path / "a.xml").write_text(bomb)
    with pytest.raises(
        BadLabels, match=r"declares XML entities.*the file is refused.*: 1 \(a\.xml\)"
    ):
        triscope.fit("ddn", tmp_path, DETECTOR, calibrate=0)
    box = "<xmin>11</xmin><ymin>11</ymin><xmax>30</xmax><ymax>30</ymax>"
    dent = f"<object><name>dent</name><bndbox>{box}</bndbox></object>"
    cv2.imwrite(str(tmp_path / "b.png"), np.full((60, 80), 9, np.uint8))
    (tmp_path / "b.xml").write_text(f"<annotation>{dent}</annotation>")
    check = triscope.fit("ddn", tmp_path, DETECTOR, calibrate=0)
    left = [line.partition(" (")[0] for line in check.problems]
    assert "XML files were left out" in left
    assert "images without a label were left out: 1" in left
