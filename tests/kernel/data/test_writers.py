"""What is written in one layout is read back with the same images, labels, boxes and splits."""

import numpy as np
import pytest
from data_sets import image_of, mvtec, put, spot

from triscope.errors import DataError, UsageError
from triscope.kernel.data import BoxLabel, Dataset, Sample, open_data, read_image, read_mask
from triscope.kernel.data.writers import FORMATS, convert


def boxed(tmp_path):
    """Two files and an array; boxes at fractions of pixels, a label that must be quoted."""
    same = put(tmp_path / "a" / "x.png", image_of(20, 30))
    other = put(tmp_path / "b" / "x.png", image_of(40, 50))
    ring = spot() > 0
    hole = ring.copy()
    hole[6, 12] = False
    return Dataset(
        (
            Sample(
                same,
                "a/x.png",
                'dent & "co": 1',
                ring,
                (
                    BoxLabel('dent & "co": 1', (10, 5, 16, 9), ring),
                    BoxLabel("rust", (10, 5, 16, 9), hole),
                ),
                "train",
            ),
            Sample(other, "b/x.png", "rust", None, (BoxLabel("rust", (0.5, 1.25, 9, 39)),), "test"),
            Sample(image_of(9, 9), "array 2", "good", None, (), "calibrate"),
        ),
        classes=("rust", 'dent & "co": 1'),
    )


def facts(data):
    return sorted(
        (
            s.split,
            s.label if s.boxes else "good",
            read_image(s.source).shape,
            tuple(sorted((b.label, *np.round(b.box, 4)) for b in s.boxes)),
        )
        for s in data
    )


@pytest.mark.parametrize("to", ["coco", "voc", "yolo"])
def test_boxes_go_there_and_back(tmp_path, to):
    data = boxed(tmp_path / "source")
    convert(data, to, tmp_path / to)
    back = open_data(tmp_path / to)
    assert back.layout == to
    assert facts(back) == facts(data)
    assert back.problems == ()


def test_coco_carries_the_masks_exactly_holes_too(tmp_path):
    data = boxed(tmp_path / "source")
    assert convert(data, "coco", tmp_path / "coco") == ()
    back = open_data(tmp_path / "coco").where(lambda s: s.split == "train")[0]
    for box, original in zip(back.boxes, data[0].boxes, strict=True):
        np.testing.assert_array_equal(read_mask(box.mask), read_mask(original.mask))


@pytest.mark.parametrize("to", FORMATS)
def test_regions_of_a_mask_become_boxes(tmp_path, to):
    two = spot()
    two[15:18, 2:6] = 255
    sample = Sample(put(tmp_path / "a.png"), "a.png", "dent", two, split="test")
    told = convert(Dataset((sample,)), to, tmp_path / to)
    (back,) = open_data(tmp_path / to)
    assert back.label == "dent"
    if to == "mvtec":
        np.testing.assert_array_equal(read_mask(back.mask), two > 0)
        assert "sets without a good image in train/good teach no model: 1 ()" in told
    else:
        found = sorted(b.box for b in back.boxes)
        np.testing.assert_allclose(found, [(2, 15, 6, 18), (10, 5, 16, 9)], atol=1e-6)
        assert bool(told) == (to != "coco")


def test_mvtec_goes_to_mvtec_and_references_are_good(tmp_path):
    source = open_data(mvtec(tmp_path / "source"))
    assert convert(source, "mvtec", tmp_path / "copy") == ()
    back = open_data(tmp_path / "copy")
    assert [(s.label, s.split) for s in back] == [(s.label, s.split) for s in source]
    pair = Sample(
        image_of(), "t", "dent", None, (BoxLabel("dent", (1, 2, 9, 9)),), reference=image_of()
    )
    told = convert(Dataset((pair, pair)), "mvtec", tmp_path / "pcb")
    back = open_data(tmp_path / "pcb")
    assert [(s.label, s.split) for s in back] == [
        ("good", "train"),
        ("dent", "test"),
        ("dent", "test"),
    ]
    assert told == ("boxes became masks, filled: 2 (t)",)
    assert read_mask(back[1].mask).sum() == 56


def test_what_cannot_be_carried_is_told(tmp_path):
    samples = (
        Sample(put(tmp_path / "a.png"), "a", None),
        Sample(tmp_path / "gone.png", "gone", "dent"),
        Sample(put(tmp_path / "c.png"), "c", "dent", split="train"),
    )
    told = " | ".join(convert(Dataset(samples), "mvtec", tmp_path / "out"))
    assert "images without label were left out: 1 (a)" in told
    assert "images could not be read and were left out: 1 (" in told
    assert "defects left train for test: 1 (c)" in told
    assert "defects have neither mask nor boxes: 1 (c)" in told


def test_a_folder_that_is_there_is_kept(tmp_path):
    data = open_data([put(tmp_path / "out" / "a.png")])
    with pytest.raises(DataError, match=r"out is there and not empty: give a new folder\."):
        convert(data, "coco", tmp_path / "out")
    with pytest.raises(UsageError, match=r"no format named 'pdf'\. There are: coco, voc"):
        convert(data, "pdf", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_nothing_is_left_of_a_conversion_that_fails(tmp_path, monkeypatch):
    data = open_data([put(tmp_path / "a.png")])

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("triscope.kernel.data.writers._out.Out.text", full)
    with pytest.raises(OSError, match="No space left"):
        convert(data, "coco", tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png"]
