"""Bad input is reported, skipped or refused with the reason; the rest goes on."""

import json
import struct
import zipfile
from itertools import pairwise

import cv2
import numpy as np
import pytest
from data_sets import image_of, mvtec, put, spot, voc_object, voc_xml

from triscope.errors import BadLabels, BadSettings, EmptyData, UnreadableImage
from triscope.kernel.data import (
    Loaded,
    Sample,
    decode,
    load,
    open_data,
    read_image,
    read_mask,
    to_input,
)
from triscope.kernel.data.cache import ImageCache
from triscope.kernel.data.header import image_size
from triscope.kernel.data.layouts._xml import parse
from triscope.kernel.data.source import fingerprint


def told(data):
    return " | ".join(data.problems)


def forged(ending, h, w):
    """A small image whose header says another size."""
    data = bytearray(cv2.imencode(ending, image_of(8, 8))[1].tobytes())
    if ending == ".png":
        data[16:24] = struct.pack(">II", w, h)
    if ending == ".jpg":
        at = data.find(b"\xff\xc0")
        data[at + 5 : at + 9] = struct.pack(">HH", h, w)
    if ending == ".bmp":
        data[18:26] = struct.pack("<ii", w, h)
    return bytes(data)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp"])
def test_a_picture_of_20000_by_20000_is_refused_by_its_header(ending):
    with pytest.raises(
        UnreadableImage,
        match=r"big is 20000 x 20000 pixels, more than the limit of 268,435,456\. Cut it up, or "
        r"raise the limit in the environment: TRISCOPE_MAX_PIXELS=400000000",
    ):
        decode(forged(ending, 20000, 20000), "big")


def test_the_limit_must_be_a_number(monkeypatch):
    monkeypatch.setenv("TRISCOPE_MAX_PIXELS", "many")
    with pytest.raises(BadSettings, match="TRISCOPE_MAX_PIXELS='many': expected a whole number"):
        decode(forged(".png", 4, 4))


def test_one_pixel_is_an_image(tmp_path):
    path = put(tmp_path / "one.png", np.full((1, 1), 7, np.uint8))
    assert read_image(path).shape == (1, 1)
    assert to_input(read_image(path), (32, 32)).shape == (3, 32, 32)


def test_a_broken_file_does_not_stop_the_rest(tmp_path):
    put(mvtec(tmp_path) / "train/good/aa.png", "not an image")
    data = open_data(tmp_path)
    items = list(load(data, lambda s: read_image(s.source).shape, workers=2))
    assert sum(isinstance(item, Loaded) for item in items) == 7
    (skipped,) = [item for item in items if not isinstance(item, Loaded)]
    assert skipped.source == "train/good/aa.png"
    assert "is damaged, or not an image of a known format (PNG, JPEG, TIFF" in skipped.error


def test_floats_in_a_tiff_are_refused():
    data = cv2.imencode(".tiff", np.zeros((4, 4), np.float32))[1].tobytes()
    with pytest.raises(UnreadableImage, match="holds float32 values: expected 8 or 16 bit"):
        decode(data)


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


def test_a_damaged_archive_says_so(tmp_path):
    put(tmp_path / "a.zip", "no archive")
    with pytest.raises(EmptyData, match=r"a\.zip cannot be opened: BadZipFile"):
        open_data(tmp_path / "a.zip")
    with pytest.raises(EmptyData, match="there is no such file or folder"):
        open_data(f"zip://::{tmp_path / 'none.zip'}")


def test_an_archive_that_unpacks_without_end_is_refused(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", b"\0" * 5000)
    monkeypatch.setattr("triscope.kernel.data.source.MAX_BYTES", 4000)
    (sample,) = open_data(tmp_path / "a.zip")
    with pytest.raises(UnreadableImage, match="is larger than 0 GB"):
        read_image(sample.source)


def test_label_files_have_a_limit(tmp_path, monkeypatch):
    put(tmp_path / "images" / "a.png")
    put(tmp_path / "labels" / "a.txt", "0 .5 .5 .2 .2\n" * 9)
    monkeypatch.setattr("triscope.kernel.data.tree.TEXT_LIMIT", 20)
    assert "is larger than 0 MB" in told(open_data(tmp_path))


def test_a_folder_of_too_many_files_is_refused(tmp_path, monkeypatch):
    mvtec(tmp_path)
    monkeypatch.setattr("triscope.kernel.data.tree.FILES_LIMIT", 3)
    with pytest.raises(EmptyData, match="holds more than 3 files: give a folder inside"):
        open_data(tmp_path)


def test_a_file_that_changed_has_another_fingerprint(tmp_path):
    path = put(tmp_path / "a.png", image_of(seed=1))
    first = fingerprint(path)
    put(tmp_path / "a.png", image_of(9, 9, seed=2))
    assert fingerprint(path) != first
    put(tmp_path / "b.png", image_of(9, 9, seed=2))
    assert fingerprint(path) == fingerprint(tmp_path / "b.png")


def test_the_callers_arrays_stay_as_they_are():
    image = image_of()
    image.setflags(write=False)
    assert read_image(image) is image
    to_input(image, (8, 8))
    mask = spot()
    mask.setflags(write=False)
    assert read_mask(mask).dtype == np.bool_


def test_the_cache_keeps_what_fits(tmp_path):
    paths = [put(tmp_path / f"{i}.png", image_of(10, 10)) for i in range(3)]
    cache = ImageCache(650)
    for _ in range(2):
        for path in paths:
            cache.read(path)
    assert (len(cache), cache.used, cache.hits, cache.misses) == (2, 600, 2, 4)
    assert not cache.read(paths[0]).flags.writeable
    array = image_of()
    assert cache.read(array) is array
    with pytest.raises(BadSettings, match="budget=-1: expected 0 or more bytes"):
        ImageCache(-1)


def test_masks_with_a_broken_or_unknown_source():
    with pytest.raises(UnreadableImage, match="got int"):
        read_mask(5)
    sample = Sample("nowhere.png", "nowhere")
    (skipped,) = load([sample], lambda s: read_image(s.source))
    assert skipped.error == "nowhere.png cannot be read: there is no such file."


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".tiff", ".webp", ".ppm", ".jp2"])
@pytest.mark.parametrize("shape", [(37, 42, 3), (300, 35, 3), (37, 42)])
def test_sizes_are_read_from_headers(ending, shape):
    if ending == ".ppm" and len(shape) == 2:
        ending = ".pgm"
    image = image_of(*shape[:2], channels=3 if len(shape) == 3 else 1)
    data = cv2.imencode(ending, image)[1].tobytes()
    assert image_size(data) == shape[:2]
    assert decode(data).shape[:2] == shape[:2]
