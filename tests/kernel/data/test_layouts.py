"""Each layout is recognised by its marks and read whole."""

import json
from collections import Counter

import numpy as np
import pytest
from data_sets import image_of, mvtec, put, spot, voc_object, voc_xml

from triscope.errors import DataError, EmptyData, UsageError
from triscope.kernel.data import open_data, read_mask


def labels(data):
    return dict(Counter(sample.label for sample in data))


def told(data):
    return " | ".join(data.problems)


def test_mvtec(tmp_path):
    data = open_data(mvtec(tmp_path))
    assert data.layout == "mvtec"
    assert labels(data) == {"good": 5, "scratch": 2}
    assert (len(data.split("train")), len(data.split("test"))) == (4, 3)
    assert data.classes == ("scratch",)
    mask = read_mask(next(s for s in data if not s.good).mask)
    np.testing.assert_array_equal(mask, spot() > 0)
    assert data.problems == ()


def test_mvtec_names_a_defect_without_mask_and_an_image_out_of_place(tmp_path):
    put(mvtec(tmp_path) / "test/scratch/007.png")
    put(tmp_path / "test/stray.png")
    put(tmp_path / "validation/good/000.png")
    data = open_data(tmp_path)
    assert "test/scratch/007.png: no mask in ground_truth/scratch/" in data.problems
    assert "test/stray.png: left out, it is in no folder of a type below test/" in data.problems
    assert len(data.split("calibrate")) == 1


def test_a_folder_of_mvtec_sets_asks_for_one(tmp_path):
    mvtec(tmp_path / "bottle")
    mvtec(tmp_path / "cable")
    with pytest.raises(DataError, match=r"holds 2 sets in the MVTec layout: bottle, cable"):
        open_data(tmp_path)


@pytest.mark.parametrize("good", ["good", "OK", "defect-free"])
def test_plain_folders(tmp_path, good):
    put(tmp_path / good / "a.png")
    put(tmp_path / "dent" / "deep" / "b.png")
    put(tmp_path / "loose.png")
    data = open_data(tmp_path)
    assert data.layout == "folders"
    assert labels(data) == {"good": 1, "dent": 1}
    assert "loose.png: left out" in told(data)


def test_plain_folders_below_splits(tmp_path):
    for split in ("train", "val", "test"):
        put(tmp_path / split / "ok" / "a.png")
        put(tmp_path / split / "bad" / "b.png")
    data = open_data(tmp_path)
    assert Counter(s.split for s in data) == {"train": 2, "calibrate": 2, "test": 2}
    assert labels(data) == {"good": 3, "bad": 3}


def test_kinds_below_splits_need_no_good_folder(tmp_path):
    for name in ("train/crazing", "train/patches", "test/crazing", "test/patches"):
        put(tmp_path / name / "a.png")
    data = open_data(tmp_path)
    assert (data.layout, data.classes) == ("folders", ("crazing", "patches"))


def test_folders_of_unknown_meaning_are_not_guessed_but_may_be_named(tmp_path):
    put(tmp_path / "monday" / "a.png")
    put(tmp_path / "tuesday" / "a.png")
    assert open_data(tmp_path).layout == "images"
    assert open_data(tmp_path, layout="folders").classes == ("monday", "tuesday")


def test_pictures_of_other_formats_are_counted(tmp_path):
    put(tmp_path / "a.png")
    put(tmp_path / "b.HEIC", "x")
    assert "pictures are of a format that is not read (.heic): 1 (b.HEIC)" in told(
        open_data(tmp_path)
    )


def test_a_flat_folder_is_taken_as_good_for_fitting(tmp_path):
    put(tmp_path / "b.jpg")
    put(tmp_path / "a.bmp")
    put(tmp_path / ".hidden.png")
    data = open_data(tmp_path)
    assert (data.layout, [s.name for s in data]) == ("images", ["a.bmp", "b.jpg"])
    assert data[0].label is None
    assert len(data.good()) == 2


def test_masks_beside_images_with_kinds_as_magnetic_tile(tmp_path):
    for kind, mask in (("MT_Free", spot() * 0), ("MT_Fray", spot()), ("MT_Break", spot())):
        put(tmp_path / kind / "Imgs" / "e1.jpg")
        put(tmp_path / kind / "Imgs" / "e1.png", mask)
    data = open_data(tmp_path)
    assert data.layout == "pairs"
    assert labels(data) == {"good": 1, "Fray": 1, "Break": 1}
    assert [s.mask is None for s in data] == [s.good for s in data]


@pytest.mark.parametrize("ending", ["_mask", "_label", "_GT"])
def test_masks_beside_images_without_kinds(tmp_path, ending):
    put(tmp_path / "kos1" / "Part0.png")
    put(tmp_path / "kos1" / f"Part0{ending}.bmp", spot())
    put(tmp_path / "kos2" / "Part0.png")
    put(tmp_path / "kos2" / f"Part0{ending}.bmp", spot() * 0)
    data = open_data(tmp_path)
    assert data.layout == "pairs"
    assert [(s.label, s.group) for s in data] == [("defect", "kos1"), ("good", "kos2")]


def test_folders_of_images_and_of_masks(tmp_path):
    put(tmp_path / "images" / "a.jpg")
    put(tmp_path / "masks" / "a.png", spot())
    put(tmp_path / "images" / "b.jpg")
    put(tmp_path / "masks" / "b_mask.png", spot() * 0)
    put(tmp_path / "images" / "c.jpg")
    put(tmp_path / "masks" / "c.png", spot(21, 30))
    put(tmp_path / "images" / "d.jpg")
    put(tmp_path / "masks" / "z.png", spot())
    data = open_data(tmp_path)
    assert data.layout == "masks"
    assert [s.label for s in data] == ["defect", "good", "defect", None]
    assert [s.mask is None for s in data] == [False, True, True, True]
    assert "masks of another size than their image were left out: 1 (images/c.jpg)" in told(data)
    assert "images have no mask and stay without label: 1 (images/d.jpg)" in told(data)
    assert "masks belong to no image: 1 (masks/z.png)" in told(data)


def test_masks_in_matlab_files(tmp_path):
    scipy_io = pytest.importorskip("scipy.io")
    put(tmp_path / "image" / "001.jpg")
    (tmp_path / "groundTruth").mkdir()
    truth = {"Segmentation": (spot() // 255 + 1).astype(np.uint8), "Boundaries": spot()}
    scipy_io.savemat(tmp_path / "groundTruth" / "001.mat", {"groundTruth": truth})
    put(tmp_path / "image" / "002.jpg")
    put(tmp_path / "groundTruth" / "002.mat", "no MATLAB file")
    data = open_data(tmp_path)
    assert [s.label for s in data] == ["defect", None]
    np.testing.assert_array_equal(read_mask(data[0].mask), spot() > 0)
    assert "expected a MATLAB file with groundTruth.Segmentation" in told(data)


def test_voc_boxes_and_lists_of_splits(tmp_path):
    xml = voc_xml("a", voc_object("dent", (1, 1, 30, 20)), voc_object("rust", (5, 6, 9, 9), 1))
    put(tmp_path / "IMAGES" / "a.jpg")
    put(tmp_path / "ANNOTATIONS" / "a.xml", xml)
    put(tmp_path / "IMAGES" / "b.jpg")
    put(tmp_path / "ANNOTATIONS" / "b.xml", voc_xml("b.jpg"))
    put(tmp_path / "IMAGES" / "c.jpg")
    put(tmp_path / "train.txt", "a\n")
    put(tmp_path / "test.txt", "b\nlost\n")
    data = open_data(tmp_path)
    assert data.layout == "voc"
    assert data.classes == ("dent", "rust")
    first = data[0]
    assert [(b.label, b.box, b.difficult) for b in first.boxes] == [
        ("dent", (0.0, 0.0, 30.0, 20.0), False),
        ("rust", (4.0, 5.0, 9.0, 9.0), True),
    ]
    assert [s.label for s in data] == ["dent", "good", None]
    assert [s.split for s in data] == ["train", "test", None]
    assert "names in the lists of splits have no image: 1 (lost)" in told(data)
    assert "images have no XML that can be read and stay without label: 1 (IMAGES/c.jpg)" in told(
        data
    )


def test_voc_that_counts_from_zero_is_taken_as_it_stands(tmp_path):
    put(tmp_path / "a.jpg")
    put(tmp_path / "a.xml", voc_xml("a.jpg", voc_object("x", (0, 2, 8, 9))))
    data = open_data(tmp_path)
    assert data[0].boxes[0].box == (0.0, 2.0, 8.0, 9.0)
    assert "corners count pixels from 0" in told(data)


def coco(tmp_path, annotations, images=None, categories=None):
    put(tmp_path / "images" / "a.png")
    whole = {
        "images": images or [{"id": 1, "file_name": "a.png", "height": 20, "width": 30}],
        "categories": categories or [{"id": 7, "name": "dent"}, {"id": 9, "name": "rust"}],
        "annotations": annotations,
    }
    put(tmp_path / "annotations" / "instances_val2017.json", json.dumps(whole))
    return open_data(tmp_path)


def test_coco_boxes_polygons_and_run_lengths(tmp_path):
    square = [[10, 5, 16, 5, 16, 9, 10, 9]]
    rle = {"size": [20, 30], "counts": [0, 20, 580]}
    data = coco(
        tmp_path,
        [
            {"image_id": 1, "category_id": 7, "bbox": [10, 5, 6, 4], "segmentation": square},
            {"image_id": 1, "category_id": 9, "segmentation": rle, "iscrowd": 1},
            {"image_id": 1, "category_id": 9, "bbox": [1, 2, 3, 4]},
        ],
    )
    assert data.layout == "coco"
    assert data.classes == ("dent", "rust")
    dent, crowd, plain = data[0].boxes
    assert (dent.box, crowd.box, plain.box) == ((10, 5, 16, 9), (0, 0, 1, 20), (1, 2, 4, 6))
    assert (crowd.difficult, plain.mask, data[0].split) == (True, None, "calibrate")
    np.testing.assert_array_equal(read_mask(dent.mask), spot() > 0)
    expected = spot() > 0
    expected[:, 0] = True
    np.testing.assert_array_equal(read_mask(data[0].mask), expected)


def test_coco_finds_images_of_the_same_name_by_their_split(tmp_path):
    for split in ("train", "valid"):
        put(tmp_path / split / "a.png")
        whole = {
            "images": [{"id": 1, "file_name": "a.png"}],
            "categories": [{"id": 1, "name": "x"}],
            "annotations": [],
        }
        put(tmp_path / split / "_annotations.coco.json", json.dumps(whole))
    data = open_data(tmp_path)
    assert [(s.name, s.split) for s in data] == [
        ("train/a.png", "train"),
        ("valid/a.png", "calibrate"),
    ]
    assert data.classes == ("x",)


YAMLS = [
    "names: [dent, 'rust']\n",
    "path: .\nnames:\n  0: dent\n  1: rust\nnc: 2\n",
    "names:\n- dent\n- rust\ntrain: images/train\n",
    "names: {0: dent, 1: rust}",
]


@pytest.mark.parametrize("yaml", YAMLS)
def test_yolo_boxes_and_polygons(tmp_path, yaml):
    put(tmp_path / "data.yaml", yaml)
    put(tmp_path / "images" / "train" / "a.png")
    put(tmp_path / "labels" / "train" / "a.txt", "1 0.5 0.5 0.2 0.1\n0 0.4 0.3 0.6 0.3 0.6 0.5\n")
    put(tmp_path / "images" / "val" / "b.png")
    data = open_data(tmp_path)
    assert data.layout == "yolo"
    assert data.classes == ("dent", "rust")
    box, ring = data[0].boxes
    assert box.label == "rust"
    np.testing.assert_allclose(box.box, (12, 9, 18, 11))
    np.testing.assert_allclose(ring.box, (12, 6, 18, 10))
    assert read_mask(ring.mask).sum() == pytest.approx(12, abs=3)
    assert [(s.label, s.split) for s in data] == [("rust", "train"), ("good", "calibrate")]


def test_yolo_with_labels_beside_images_and_a_list_of_classes(tmp_path):
    put(tmp_path / "classes.txt", "dent\nrust\n")
    put(tmp_path / "a.png")
    put(tmp_path / "a.txt", "1 .5 .5 .2 .2\n")
    data = open_data(tmp_path)
    assert (data.layout, data[0].boxes[0].label) == ("yolo", "rust")


def test_yolo_without_names_calls_classes_by_their_number(tmp_path):
    put(tmp_path / "images" / "a.png")
    put(tmp_path / "labels" / "a.txt", "10 .5 .5 .2 .2\n2 .5 .5 .2 .3\n")
    assert open_data(tmp_path).classes == ("2", "10")


def test_deeppcb(tmp_path):
    group = tmp_path / "PCBData" / "group00041"
    put(group / "00041" / "00041000_test.jpg", image_of(64, 64))
    put(group / "00041" / "00041000_temp.jpg", image_of(64, 64))
    put(group / "00041_not" / "00041000.txt", "10 12 20 22 3\n1 2 3 4 9\nnonsense\n")
    put(tmp_path / "PCBData" / "trainval.txt", "group00041/00041/00041000.jpg x.txt\n")
    data = open_data(tmp_path)
    assert data.layout == "deeppcb"
    (sample,) = data
    assert (sample.label, sample.split, sample.group) == ("mousebite", "train", "00041")
    assert sample.boxes[0].box == (10, 12, 20, 22)
    assert sample.reference.name == "00041000_temp.jpg"
    assert "boxes of a type that is not 1 to 6" in told(data)
    assert "lines that are not 'x1 y1 x2 y2 type'" in told(data)


def test_the_layout_may_be_named(tmp_path):
    mvtec(tmp_path)
    assert len(open_data(tmp_path, layout="images")) == 9
    with pytest.raises(UsageError, match=r"no layout named 'mvtek'. Did you mean 'mvtec'"):
        open_data(tmp_path, layout="mvtek")


def test_folders_with_nothing_to_use(tmp_path):
    with pytest.raises(EmptyData, match=r"holds no image: no file"):
        open_data(tmp_path)
    put(tmp_path / "notes.txt", "x")
    with pytest.raises(EmptyData, match=r"1 files with the endings \.txt\. Expected images"):
        open_data(tmp_path)
    with pytest.raises(EmptyData, match=r"is not a folder; there is"):
        open_data(tmp_path / "nowhere" / "at_all")
    put(tmp_path / "a.png")
    with pytest.raises(EmptyData, match=r"no sample in the layout 'folders'"):
        open_data(tmp_path, layout="folders")
