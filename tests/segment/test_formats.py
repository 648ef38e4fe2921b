"""Formats of masks: lossless round trips, published shapes, refusals, constant memory."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triscope.errors import BadLabels, UsageError
from triscope.kernel.geometry.masks import from_polygons, to_polygons
from triscope.kernel.geometry.rle import Rle
from triscope.segment.formats import FORMATS, Mask, Record, convert, read, writer
from triscope.segment.formats._json_stream import members
from triscope.segment.formats.yolo import joined
from triscope.segment.synth import scene

FLAT = ("map", "voc")  # one number a pixel


def records(count: int, overlap: bool) -> list[Record]:
    """Scenes with ragged masks that have holes and several parts."""
    made = []
    for seed in range(count):
        one = scene(seed, (40, 56))
        singles = [g for g, group in enumerate(one.groups) if len(group) == 1 or overlap]
        masks = [one.mask(g) for g in singles]
        kept = [m for m in masks if m.any()]
        rles = [Mask(Rle.encode(mask), f"kind {i % 3}") for i, mask in enumerate(kept)]
        made.append(Record(f"part {seed}.jpg", (40, 56), tuple(rles)))
    return made


def same(ours: Record, theirs: Record) -> None:
    assert (ours.name, ours.hw, len(ours.masks)) == (theirs.name, theirs.hw, len(theirs.masks))
    for a, b in zip(ours.masks, theirs.masks, strict=True):
        assert a.label == b.label
        assert np.array_equal(a.rle.decode(), b.rle.decode())


def written(name: str, place: Path, some: list[Record]) -> Path:
    with writer(name, place) as out:
        for record in some:
            out.add(record)
    return place


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_is_lost(name: str, tmp_path: Path) -> None:
    given_ones = records(6, overlap=name not in FLAT)
    assert sum(len(one.masks) for one in given_ones) > 20
    found = list(read(name, written(name, tmp_path / name, given_ones)))
    assert len(found) == 6
    for ours, theirs in zip(given_ones, found, strict=True):
        same(ours, theirs)


@pytest.mark.parametrize("through", FORMATS)
def test_from_sa1b_and_back(through: str, tmp_path: Path) -> None:
    some = records(3, overlap=through not in FLAT)
    written("sa1b", tmp_path / "a", some)
    assert convert(tmp_path / "a", "sa1b", tmp_path / "b", through) == 3
    assert convert(tmp_path / "b", through, tmp_path / "c", "sa1b") == 3
    for ours, theirs in zip(some, read("sa1b", tmp_path / "c"), strict=True):
        same(ours, theirs)


def test_scores_of_sa1b_survive_coco(tmp_path: Path) -> None:
    extra = {"predicted_iou": 0.91, "stability_score": 0.97, "point_coords": [[3.5, 4.0]]}
    record = Record("a.jpg", (5, 6), (Mask(Rle.encode(np.eye(5, 6, dtype=bool)), "object", extra),))
    written("sa1b", tmp_path / "a", [record])
    convert(tmp_path / "a", "sa1b", tmp_path / "b", "coco")
    convert(tmp_path / "b", "coco", tmp_path / "c", "sa1b")
    (mask,) = next(iter(read("sa1b", tmp_path / "c"))).masks
    assert {name: mask.extra[name] for name in extra} == extra


def test_the_published_shape_of_sa1b(tmp_path: Path) -> None:
    written("sa1b", tmp_path, records(1, overlap=True))
    (path,) = tmp_path.rglob("*.json")
    whole = json.loads(path.read_text())
    assert set(whole) == {"image", "annotations"}
    assert set(whole["image"]) == {"image_id", "width", "height", "file_name"}
    row = whole["annotations"][0]
    assert {
        "id", "segmentation", "bbox", "area", "predicted_iou", "stability_score", "crop_box",
        "point_coords",
    } <= set(row)  # fmt: skip
    assert set(row["segmentation"]) == {"size", "counts"} and row["segmentation"]["size"] == [
        40,
        56,
    ]


def test_pycocotools_reads_what_we_write(tmp_path: Path) -> None:
    tools = pytest.importorskip("pycocotools.mask")
    some = records(2, overlap=True)
    for mask in some[0].masks:
        assert np.array_equal(tools.decode(mask.rle.to_coco()).astype(bool), mask.rle.decode())


@given(st.integers(0, 2**32 - 1), st.integers(1, 14), st.integers(1, 14), st.floats(0.05, 0.95))
@settings(max_examples=60, deadline=None)
def test_one_outline_holds_any_mask(seed: int, h: int, w: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((h, w)) < share
    assert np.array_equal(from_polygons([joined(to_polygons(mask))], (h, w)), mask)


def test_voc_colours_are_numbers(tmp_path: Path) -> None:
    """A map stored with VOC's palette as colours is read as its numbers."""
    import cv2

    from triscope.segment.formats.images import _voc_colour

    assert _voc_colour(1) == (128, 0, 0) and _voc_colour(15) == (192, 128, 128)
    place = tmp_path / "SegmentationObject"
    place.mkdir()
    bgr = np.zeros((4, 4, 3), np.uint8)
    bgr[:2], bgr[2:] = _voc_colour(1)[::-1], _voc_colour(2)[::-1]
    cv2.imwrite(str(place / "a.png"), bgr)
    (record,) = read("voc", tmp_path)
    assert [mask.rle.area for mask in record.masks] == [8, 8]


# ---- what cannot be read or held


def test_overlaps_do_not_fit_a_map(tmp_path: Path) -> None:
    whole = Mask(Rle.encode(np.ones((4, 4), bool)))
    with (
        pytest.raises(BadLabels, match="masks 0 and 1 overlap, a label map holds one number"),
        writer("map", tmp_path) as out,
    ):
        out.add(Record("a.jpg", (4, 4), (whole, whole)))


def test_a_mask_of_another_size() -> None:
    with pytest.raises(BadLabels, match=r"a\.jpg: mask 0 is \(4, 4\), the image \(4, 5\)"):
        Record("a.jpg", (4, 5), (Mask(Rle.encode(np.ones((4, 4), bool))),))


def test_json_that_was_cut_off(tmp_path: Path) -> None:
    written("sa1b", tmp_path / "a", records(1, overlap=True))
    (path,) = (tmp_path / "a").rglob("*.json")
    path.write_text(path.read_text()[:-40])
    with pytest.raises(BadLabels, match=r"part 0\.json is not whole JSON .*at character \d+.*cut"):
        list(read("sa1b", tmp_path / "a"))
    written("coco", tmp_path / "b", records(1, overlap=True))
    whole = (tmp_path / "b" / "annotations.json").read_text()
    (tmp_path / "b" / "annotations.json").write_text(whole[: len(whole) // 2])
    with pytest.raises(BadLabels, match=r"annotations\.json is not whole JSON .*at character \d+"):
        list(read("coco", tmp_path / "b"))


def test_run_lengths_that_do_not_add_up(tmp_path: Path) -> None:
    row = {"segmentation": {"size": [4, 4], "counts": [3, 2]}}
    whole = {"image": {"height": 4, "width": 4, "file_name": "a.jpg"}, "annotations": [row]}
    (tmp_path / "a.json").write_text(json.dumps(whole))
    with pytest.raises(BadLabels, match=r"a\.json: run lengths of a mask of 4 x 4 sum to 16"):
        list(read("sa1b", tmp_path))


def test_another_shape_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"annotations": []}')
    with pytest.raises(BadLabels, match=r"is not of the SA-1B shape .*expected 'image'"):
        list(read("sa1b", tmp_path))


def test_an_outline_that_leaves_the_image(tmp_path: Path) -> None:
    written("yolo", tmp_path, records(1, overlap=True))
    (path,) = tmp_path.rglob("*.txt")
    path.write_text("0 0.1 0.2 1.4 0.5 0.3 0.9\n")
    with pytest.raises(BadLabels, match=r"part 0\.txt line 1: an outline leaves the image"):
        list(read("yolo", tmp_path))
    path.write_text("0 0.1 zero\n")
    with pytest.raises(BadLabels, match=r"line 1: expected a class number and pairs"):
        list(read("yolo", tmp_path))


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(UsageError, match="no format 'pascal' for masks: there are sa1b, coco"):
        read("pascal", Path())


# ---- streams


def test_members_are_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    rows = [{"id": i, "text": "ä" * (i % 700), "deep": [[1, 2], {"x": -1.5e3}]} for i in range(400)]
    path.write_text(json.dumps({"info": {"a": [1]}, "images": rows, "n": 12, "annotations": []}))
    assert [row for _, row in members(path, ("images", "annotations"))] == rows


def many(count: int) -> Iterator[Record]:
    mask = np.zeros((12, 16), bool)
    mask[3:8, 4:11] = True
    rle = Rle.encode(mask)
    for i in range(count):
        yield Record(f"{i:06d}.jpg", (12, 16), (Mask(rle, "a"), Mask(rle, "b")))


def peak_of_reading(name: str, place: Path) -> tuple[int, int]:
    tracemalloc.start()
    count = sum(1 for _ in read(name, place))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return count, peak


# pathlib interns each name: Python's own table of them doubles now and then. 100,000 records held
# would be ten times this.
TABLE_BYTES = 10e6


def check_memory(tmp_path: Path, count: int, *names: str) -> dict[str, Any]:
    peaks: dict[str, Any] = {}
    for name in names:
        for total in (1000, count):
            place = tmp_path / f"{name}{total}"
            with writer(name, place) as out:
                for record in many(total):
                    out.add(record)
            found, peaks[f"{name} {total}"] = peak_of_reading(name, place)
            assert found == total
        assert peaks[f"{name} {count}"] < 1.5 * peaks[f"{name} 1000"] + TABLE_BYTES, peaks
    return peaks


def test_memory_does_not_grow(tmp_path: Path) -> None:
    peaks = check_memory(tmp_path, 3000, "sa1b", "coco")
    assert max(peaks.values()) < 2.5e6


@pytest.mark.long
def test_a_hundred_thousand_files(tmp_path: Path) -> None:
    print(check_memory(tmp_path, 100_000, "sa1b", "yolo", "coco"))
