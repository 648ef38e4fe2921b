"""A data set as one file holds all that is known and is read back the same."""

import json

import numpy as np
import pytest
from data_sets import image_of, put, spot
from hypothesis import given, settings
from hypothesis import strategies as st

from triscope.errors import BadLabels, EmptyData, TriscopeError, UnreadableImage
from triscope.kernel.data import BoxLabel, Dataset, Sample, open_data, read_mask
from triscope.kernel.data.manifest import read_manifest, write_manifest


def test_all_that_is_known_comes_back(tmp_path):
    image, mask = put(tmp_path / "x" / "a.png"), put(tmp_path / "x" / "m.png", spot())
    box = BoxLabel("dent", (1.5, 2, 9, 9), spot() > 0, True)
    samples = [
        Sample(image, "x/a.png", "dent", mask, (box,), "train", "part 1", image),
        Sample(image, "x/a.png", None, spot() > 0),
        Sample("memory://b.png", "memory://b.png", "good", split="test"),
    ]
    write_manifest(samples, tmp_path / "deep.jsonl")
    back = open_data(tmp_path / "deep.jsonl")
    assert back.layout == "manifest"
    assert back.classes == ("dent",)
    for one, other in zip(back, samples, strict=True):
        for field in ("source", "name", "label", "split", "group", "reference"):
            assert getattr(one, field) == getattr(other, field)
        assert (one.mask is None) == (other.mask is None)
    np.testing.assert_array_equal(read_mask(back[1].mask), spot() > 0)
    (again,) = back[0].boxes
    assert (again.label, again.box, again.difficult) == ("dent", box.box, True)
    np.testing.assert_array_equal(read_mask(again.mask), spot() > 0)


def test_a_table_holds_the_plain_parts(tmp_path):
    image = put(tmp_path / "a, b.png")
    samples = [Sample(image, "a, b.png", "good", split="train", group="7")]
    write_manifest(samples, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text().startswith("image,label,split,mask,group,reference\n")
    (back,) = open_data(str(tmp_path / "t.csv"))
    assert (back.source, back.label, back.split, back.group) == (image, "good", "train", "7")


def test_lines_that_cannot_be_used_are_told(tmp_path):
    rows = [
        {"image": "a.png", "split": "tset"},
        {"label": "good"},
        {"image": "a.png", "boxes": [{"label": "x", "box": [3, 3, 1, 1]}]},
        {"image": "a.png", "label": 5},
        {"image": "a.png", "mask": {"size": [1, 1], "counts": [7]}},
        {"image": "ok.png"},
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows) + "nonsense\n[1]\n"
    (tmp_path / "m.jsonl").write_text(text)
    data = open_data(tmp_path / "m.jsonl")
    assert [s.name for s in data] == ["ok.png"]
    told = " | ".join(data.problems)
    assert "split 'tset' is none of train, calibrate, test" in told
    assert "no image is named" in told
    assert "a box is {'label': …, 'box': [x0, y0, x1, y1]} with x0 < x1" in told
    assert "the label is no text: 5" in told
    assert "run lengths of a mask of 1 x 1 sum to 1" in told
    assert "lines are no JSON object and were left out: 2 (line 7, line 8)" in told


def test_messages(tmp_path):
    (tmp_path / "t.csv").write_text("file,label\na.png,good\n")
    with pytest.raises(BadLabels, match=r"expected a column 'image' .*, got file, label\."):
        open_data(tmp_path / "t.csv")
    (tmp_path / "e.jsonl").write_text("")
    with pytest.raises(EmptyData, match=r"describes no image: it has no lines\."):
        open_data(tmp_path / "e.jsonl")
    with pytest.raises(UnreadableImage, match="is an array in memory: only files can be listed"):
        write_manifest([Sample(image_of(), "a")], tmp_path / "x.jsonl")
    with pytest.raises(BadLabels, match="1 samples have boxes, which a table cannot hold"):
        box = BoxLabel("x", (0, 0, 1, 1))
        write_manifest(Dataset((Sample("a.png", "a", boxes=(box,)),)), tmp_path / "x.csv")
    (tmp_path / "b.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadLabels, match="is not a text in UTF-8"):
        open_data(tmp_path / "b.jsonl")


ANY = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = ("image", "label", "split", "mask", "group", "reference", "boxes")


@settings(max_examples=120, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(KEYS), ANY, max_size=5), max_size=3))
def test_any_json_is_read_or_refused(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("m") / "x.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    try:
        data = read_manifest(path)
    except TriscopeError:
        return
    assert all(isinstance(s.name, str) for s in data)
