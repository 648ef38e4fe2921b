"""Label files that cannot be used are reported, clipped, skipped or refused; the rest goes on."""

import json
from itertools import pairwise

import pytest
from data_sets import image_of, put, voc_object, voc_xml

from triscope.errors import BadLabels
from triscope.kernel.data import (
    open_data,
)
from triscope.kernel.data.layouts._xml import parse


def told(data):
    return " | ".join(data.problems)


def test_entity_bombs_are_refused_before_they_grow(tmp_path):
    bomb = (
        '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
        + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in pairwise("abcdefghi"))
        + "]><annotation><filename>&i;</filename></annotation>"
    )
    with pytest.raises(BadLabels, match=r"b\.xml declares XML entities.*the file is refused"):
        parse(bomb.encode(), "b.xml")
    outside = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]><annotation>&a;</annotation>'
    with pytest.raises(BadLabels, match="declares XML entities"):
        parse(outside.encode(), "b.xml")
    put(tmp_path / "a.jpg")
    put(tmp_path / "a.xml", voc_xml("a", voc_object("x", (1, 1, 9, 9))))
    put(tmp_path / "b.jpg")
    put(tmp_path / "b.xml", bomb)
    put(tmp_path / "c.jpg")
    put(tmp_path / "c.xml", bomb)
    data = open_data(tmp_path)
    assert [s.label for s in data] == ["x", None, None]
    left_out, unlabelled = data.problems
    assert left_out.startswith("XML files were left out (the file declares XML entities. ")
    assert left_out.endswith("the file is refused.): 2 (b.xml, c.xml)")
    assert (
        unlabelled == "images have no XML that can be read and stay without label: 2 (b.jpg, c.jpg)"
    )


def test_deep_and_broken_xml():
    with pytest.raises(BadLabels, match="nests more than 64 elements"):
        parse(b"<a>" * 100, "deep.xml")
    with pytest.raises(BadLabels, match=r"is not well-formed XML: no element found"):
        parse(b"", "empty.xml")


def test_boxes_that_cannot_be_meant_are_clipped_or_left_out(tmp_path):
    boxes = {
        "fine": (1, 1, 10, 10),
        "outside": (25, 5, 45, 15),
        "gone": (40, 5, 45, 15),
        "flat": (8, 8, 3, 12),
        "nan": ("nan", 1, 5, 5),
        "word": ("x", 1, 5, 5),
        "": (1, 1, 5, 5),
    }
    twice = voc_object("fine", boxes["fine"])
    objects = [voc_object(name, box) for name, box in boxes.items()]
    put(tmp_path / "a.jpg", image_of(20, 30))
    put(tmp_path / "a.xml", voc_xml("a", *objects, twice))
    data = open_data(tmp_path)
    assert [(b.label, b.box) for b in data[0].boxes] == [
        ("fine", (0, 0, 10, 10)),
        ("outside", (24, 4, 30, 15)),
    ]
    for line in (
        "boxes that reach outside their image were clipped: 1 (a.jpg)",
        "boxes wholly outside their image were left out: 1 (a.jpg)",
        "boxes without area were left out: 1 (a.jpg)",
        "boxes with a corner that is no finite number were left out: 1 (a.jpg)",
        "objects without four numbers as corners were left out: 1 (a.jpg)",
        "objects without a name were left out: 1 (a.jpg)",
        "boxes given twice were counted once: 1 (a.jpg)",
    ):
        assert line in told(data)


BOX = [900, 900, 5, 5]  # outside every image
COCO = {
    "images": [{"id": i, "file_name": f"{n}_test.png"} for i, n in enumerate(("a", "b"))],
    "categories": [{"id": 1, "name": "dent"}],
    "annotations": [{"image_id": 0, "category_id": 1, "bbox": BOX}],
}


@pytest.mark.parametrize(
    "files",
    [
        {"a_test.xml": voc_xml("a_test", voc_object("dent", BOX)), "b_test.xml": voc_xml("b_test")},
        {"labels/a_test.txt": "7 .5 .5 .1 .1", "labels/b_test.txt": "", "classes.txt": "dent"},
        {"all.json": json.dumps(COCO)},
        {"x_not/a.txt": "900 900 905 905 1", "x_not/b.txt": "", "a_temp.png": None},
    ],
    ids=["voc", "yolo", "coco", "deeppcb"],
)
def test_an_image_whose_boxes_are_all_left_out_is_not_called_good(tmp_path, files):
    for name in ("a_test.png", "b_test.png"):
        put(tmp_path / name)
    for name, text in files.items():
        put(tmp_path / name, text)
    data = open_data(tmp_path)
    assert [(s.name, s.label) for s in data] == [("a_test.png", None), ("b_test.png", "good")]
    assert "images of which no box can be used stay without label: 1 (a_test.png)" in told(data)


def test_coco_with_missing_and_wrong_ids(tmp_path):
    put(tmp_path / "a.png")
    box = [1, 2, 3, 4]
    whole = {
        "images": [
            {"id": 1, "file_name": "a.png"},
            {"file_name": "a.png"},
            {"id": 2, "file_name": "gone.png"},
            {"id": 3},
            7,
        ],
        "categories": [{"id": 1, "name": "dent"}, {"id": 1, "name": "rust"}, {"id": 4}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": box},
            {"image_id": 1, "category_id": 9, "bbox": box},
            {"image_id": 99, "category_id": 1, "bbox": box},
            {"category_id": 1, "bbox": box},
            {"image_id": 1, "category_id": 1, "bbox": [1, 2]},
            {"image_id": 1, "category_id": 1, "bbox": [float("inf"), 1, 2, 3]},
            {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 5], "segmentation": [[1, 2]]},
            {
                "image_id": 1,
                "category_id": 1,
                "bbox": [1, 2, 3, 6],
                "segmentation": {"size": [5, 5], "counts": [25]},
            },
            {
                "image_id": 1,
                "category_id": 1,
                "bbox": [1, 2, 3, 7],
                "segmentation": {"size": [20, 30], "counts": [1]},
            },
        ],
    }
    put(tmp_path / "a.json", json.dumps(whole))
    data = open_data(tmp_path)
    assert data.classes == ("dent",)
    assert [b.box[3] for b in data[0].boxes] == [6, 7, 8, 9]
    for line in (
        "images without id or file_name were left out: 2",
        "images are named but not there, or not to be told apart: 1 (gone.png)",
        "entries of images are no objects and were left out: 1",
        "categories have the id of another and were left out: 1",
        "categories without id or name were left out: 1",
        "annotations name a category that is not there: 1",
        "annotations belong to no image: 2 (a.json image_id 99, a.json without image_id)",
        "annotations without four numbers as bbox were left out: 2",
        "polygons with fewer than 3 points, or that are no numbers, were left out: 1",
        "masks of another size than their image were left out: 1",
        "masks were left out (run lengths of a mask of 20 x 30 sum to 600",
    ):
        assert line in told(data)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"images": [], "annotations": [', "is not readable JSON"),
        ('["images", "annotations"]', "expected an object with 'images', got a list"),
        ('{"images": ' + "[" * 100000 + ', "annotations"', "is not readable JSON"),
    ],
)
def test_json_that_cannot_be_read(tmp_path, text, says):
    put(tmp_path / "a.png")
    put(tmp_path / "a.json", text)
    with pytest.raises(BadLabels, match=says):
        open_data(tmp_path)


def test_yolo_lines_that_cannot_be_meant(tmp_path):
    put(tmp_path / "classes.txt", "dent\n")
    put(tmp_path / "images" / "a.png")
    lines = [
        "0 .5 .5 .2 .2",
        "1 .5 .5 .1 .1",
        "-1 .5 .5 .1 .1",
        "0 .5",
        "x 1 2 3 4",
        "0 .5 .5 nan 1",
    ]
    put(tmp_path / "labels" / "a.txt", "\n".join(lines))
    put(tmp_path / "labels" / "lost.txt", "0 .5 .5 .2 .2")
    data = open_data(tmp_path)
    assert len(data[0].boxes) == 1
    for line in (
        "boxes of a class that is not in the list of classes were left out: 2",
        "lines that are not 'class cx cy w h' or a polygon were left out: 3",
        "label files belong to no image: 1 (labels/lost.txt)",
    ):
        assert line in told(data)


def test_labels_of_a_broken_image_are_kept_unclipped(tmp_path):
    put(tmp_path / "a.jpg", "broken")
    put(tmp_path / "a.xml", voc_xml("a", voc_object("x", (1, 1, 900, 900))))
    data = open_data(tmp_path)
    assert data[0].boxes[0].box == (0, 0, 900, 900)
    assert "images could not be read (" in told(data)


def test_texts_that_are_no_utf8(tmp_path):
    put(tmp_path / "images" / "a.png")
    put(tmp_path / "labels" / "a.txt", "").write_bytes(b"\xff\xfe\x00\x00")
    data = open_data(tmp_path)
    assert "label files were left out (" in told(data)
    assert "is not a text in UTF-8" in told(data)


def test_label_files_have_a_limit(tmp_path, monkeypatch):
    put(tmp_path / "images" / "a.png")
    put(tmp_path / "labels" / "a.txt", "0 .5 .5 .2 .2\n" * 9)
    monkeypatch.setattr("triscope.kernel.data.tree.TEXT_LIMIT", 20)
    assert "is larger than 0 MB" in told(open_data(tmp_path))
