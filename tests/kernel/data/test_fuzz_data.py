"""Parsers of outside formats read or refuse whatever they are given; they never fail otherwise."""

import contextlib
import json

import cv2
import numpy as np
import pytest
from data_sets import image_of, put
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from triscope.errors import BadLabels, TriscopeError, UnreadableImage
from triscope.kernel.data import decode, open_data
from triscope.kernel.data.header import image_size, upright_size, whole
from triscope.kernel.data.layouts._xml import parse
from triscope.kernel.data.layouts._yaml import names_of

QUICK = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
IMAGE = image_of(36, 37, seed=3)
ENDINGS = (".png", ".jpg", ".bmp", ".tiff", ".webp", ".ppm", ".jp2")
FILES = {end: cv2.imencode(end, IMAGE)[1].tobytes() for end in ENDINGS}


@st.composite
def damaged(draw):
    data = bytearray(FILES[draw(st.sampled_from(ENDINGS))])
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data) - 1))
        data[at] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))])


@QUICK
@given(damaged() | st.binary(max_size=64))
def test_damaged_images(data):
    image_size(data), upright_size(data), whole(data)
    try:
        image = decode(data)
    except UnreadableImage:
        return
    assert image.dtype in (np.uint8, np.uint16)
    assert image.ndim in (2, 3)


@QUICK
@given(st.binary(max_size=80) | st.text(alphabet="<>/ab&;!\"'[]= \n", max_size=60).map(str.encode))
def test_any_xml(data):
    with contextlib.suppress(BadLabels):
        assert parse(data, "x").tag


@QUICK
@given(st.text(alphabet="names:[]{}'\"- \n0123,ab#\\", max_size=60))
def test_any_yaml(text):
    found = names_of("names: " + text)
    assert all(isinstance(name, str) for name in found)


ATOM = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
VALUE = st.recursive(ATOM, lambda x: st.lists(x, max_size=4), max_leaves=8)
NUMBERS = st.lists(st.floats(-1e12, 1e12) | st.integers(-5, 40), max_size=8)
ANNOTATION = st.fixed_dictionaries(
    {},
    optional={
        "image_id": st.integers(0, 2) | VALUE,
        "category_id": st.integers(0, 2) | VALUE,
        "bbox": NUMBERS | VALUE,
        "segmentation": st.lists(NUMBERS, max_size=3)
        | st.fixed_dictionaries({"size": VALUE, "counts": VALUE})
        | st.fixed_dictionaries({"size": st.just([36, 37]), "counts": st.text(max_size=8)})
        | VALUE,
        "iscrowd": VALUE,
    },
)
IMAGE_ROW = st.fixed_dictionaries(
    {}, optional={"id": st.integers(0, 2) | VALUE, "file_name": st.just("a.png") | VALUE}
)
CATEGORY = st.fixed_dictionaries(
    {}, optional={"id": st.integers(0, 2) | VALUE, "name": st.text(max_size=3) | VALUE}
)


@QUICK
@given(
    st.lists(IMAGE_ROW | ATOM, max_size=3) | ATOM,
    st.lists(ANNOTATION | ATOM, max_size=4) | ATOM,
    st.lists(CATEGORY | ATOM, max_size=3) | ATOM,
)
def test_any_coco(tmp_path, images, annotations, categories):
    put(tmp_path / "a.png", IMAGE)
    whole = {"images": images, "annotations": annotations, "categories": categories}
    put(tmp_path / "a.json", json.dumps(whole))
    try:
        data = open_data(tmp_path, layout="coco")
    except TriscopeError:
        return
    check(data)


WORD = st.floats(width=32).map(str) | st.integers(-2, 3).map(str) | st.text(max_size=3)


@QUICK
@given(st.lists(st.lists(WORD, max_size=9).map(" ".join), max_size=4).map("\n".join))
def test_any_yolo(tmp_path, text):
    put(tmp_path / "images" / "a.png", IMAGE)
    (tmp_path / "labels").mkdir(exist_ok=True)
    (tmp_path / "labels" / "a.txt").write_text(text, encoding="utf-8")
    check(open_data(tmp_path, layout="yolo"))


CORNER = st.integers(-5, 15).map(str) | st.text(alphabet="0123456789.e-nai ", max_size=5)


@QUICK
@given(st.lists(st.tuples(st.text(alphabet="ab", max_size=2), *[CORNER] * 4), max_size=3))
def test_any_voc(tmp_path, rows):
    put(tmp_path / "a.png", IMAGE)
    objects = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax>"
        f"<ymax>{d}</ymax></bndbox></object>"
        for name, a, b, c, d in rows
    )
    put(tmp_path / "a.xml", f"<annotation>{objects}</annotation>")
    check(open_data(tmp_path, layout="voc"))


def check(data):
    """Whatever was read can be used: boxes inside the image, masks of its size."""
    for sample in data:
        for box in sample.boxes:
            x0, y0, x1, y1 = box.box
            assert 0 <= x0 < x1 <= 37
            assert 0 <= y0 < y1 <= 36
            if box.mask is not None:
                assert box.mask.decode().shape == (36, 37)


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_undamaged_files_are_read(ending):
    assert decode(FILES[ending]).shape == (36, 37, 3)
