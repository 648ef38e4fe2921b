"""Splits are disjoint by name, by group and by content, and drawn in proportion."""

from collections import Counter

import numpy as np
import pytest
from data_sets import image_of, mvtec, put
from hypothesis import given, settings
from hypothesis import strategies as st

from triscope.errors import BadSettings, DataError, LeakedData
from triscope.kernel.data import Dataset, Sample, fingerprint, open_data
from triscope.kernel.data.splits import (
    disjoint,
    folds,
    grouped,
    hold_out,
    require_apart,
    split_data,
    units,
)

LABELS = ("good", "dent", None)


def array(number):
    return np.full((2, 3), number, np.uint8)


@st.composite
def data_sets(draw):
    rows = draw(
        st.lists(
            st.tuples(st.integers(0, 40), st.sampled_from(LABELS), st.sampled_from("abcdefgh")),
            min_size=3,
            max_size=40,
        )
    )
    samples = [
        Sample(array(content), f"{i}", label, group=group if group < "f" else None)
        for i, (content, label, group) in enumerate(rows)
    ]
    return Dataset(tuple(samples))


def assert_apart(parts):
    for i, one in enumerate(parts):
        for other in parts[i + 1 :]:
            assert not {fingerprint(s.source) for s in one} & {fingerprint(s.source) for s in other}
            assert not ({s.group for s in one} & {s.group for s in other}) - {None}


@settings(max_examples=60, deadline=None)
@given(data_sets(), st.integers(0, 5))
def test_splits_share_neither_content_nor_group(data, seed):
    done = split_data(data, seed=seed)
    parts = [done.split(name) for name in ("train", "calibrate", "test")]
    assert sum(map(len, parts)) == len(data)
    assert_apart(parts)
    again = split_data(data, seed=seed)
    assert [s.split for s in again] == [s.split for s in done]


@settings(max_examples=40, deadline=None)
@given(data_sets())
def test_folds_test_every_sample_once(data):
    if len(units(data.samples)) < 3:
        return
    pairs = folds(data, 3)
    assert sorted(s.name for _, test in pairs for s in test) == sorted(s.name for s in data)
    for train, test in pairs:
        assert len(train) + len(test) == len(data)
        assert_apart([train, test])


@settings(max_examples=40, deadline=None)
@given(data_sets(), st.floats(0.05, 0.6), st.integers(0, 3))
def test_holding_out_keeps_something_on_both_sides(data, share, seed):
    if len(units(data.samples)) < 2:
        return
    train, held = hold_out(data.samples, share, seed)
    assert train and held
    assert_apart([train, held])


def test_shares_are_kept_label_by_label():
    samples = [Sample(array(i), f"{i}", "good" if i < 80 else "dent") for i in range(100)]
    done = split_data(Dataset(tuple(samples)), calibrate=0.2, test=0.3)
    assert Counter((s.split, s.label) for s in done) == {
        ("train", "good"): 40,
        ("train", "dent"): 10,
        ("calibrate", "good"): 16,
        ("calibrate", "dent"): 4,
        ("test", "good"): 24,
        ("test", "dent"): 6,
    }
    good_only = split_data(Dataset(tuple(samples)), train_on="good")
    assert {s.label for s in good_only.split("train")} == {"good"}
    assert len(good_only.split("test").where(lambda s: not s.good)) == 10


def test_splits_of_the_layout_are_kept_and_calibration_comes_out_of_training(tmp_path):
    data = split_data(open_data(mvtec(tmp_path, good=10)), calibrate=0.3)
    assert Counter(s.split for s in data) == {"train": 7, "calibrate": 3, "test": 3}
    assert all(s.good for s in data.split("calibrate"))


def test_a_copy_of_a_test_image_leaves_training_and_is_told(tmp_path):
    same = image_of(seed=1)
    put(mvtec(tmp_path) / "train/good/copy.png", same)
    put(tmp_path / "test/good/was.png", same)
    data = disjoint(open_data(tmp_path))
    assert "train/good/copy.png" not in {s.name for s in data}
    assert "images also stand in test and left train: 1 (train/good/copy.png)" in data.problems


def test_groups_by_a_pattern_of_the_name():
    data = Dataset(tuple(Sample(array(i), f"P{i % 3}T{i}.avi") for i in range(9)))
    assert [s.group for s in grouped(data, r"P(\d)")] == [str(i % 3) for i in range(9)]
    assert {s.group for s in grouped(data, r"P\d")} == {"P0", "P1", "P2"}
    assert {s.group for s in grouped(data, lambda s: s.name[:1])} == {"P"}
    pairs = folds(data, 3, by=r"P(\d)")
    assert [{s.group for s in test} for _, test in pairs] != [{"0", "1", "2"}] * 3
    assert all(len({s.group for s in test}) == 1 for _, test in pairs)


def test_messages():
    data = Dataset(tuple(Sample(array(0), f"{i}") for i in range(4)))
    with pytest.raises(DataError, match=r"line holds 4 usable images, all of one group or"):
        hold_out(data.samples, 0.5, 0, "line")
    with pytest.raises(DataError, match=r"holds one usable image: learning needs at least"):
        hold_out(data.samples[:1], 0.5, 0)
    with pytest.raises(BadSettings, match=r"test=1: expected a share in \[0, 1\)"):
        split_data(data, test=1)
    with pytest.raises(BadSettings, match=r"calibrate \+ test = 1.2: nothing is left"):
        split_data(data, calibrate=0.6, test=0.6)
    with pytest.raises(BadSettings, match=r"train_on='bad': expected 'all' or 'good'"):
        split_data(data, train_on="bad")
    with pytest.raises(BadSettings, match=r"folds=3: expected 2 to 1"):
        folds(data, 3)
    with pytest.raises(LeakedData, match=r"4 of the images to calibrate.*0 is 3. Give other"):
        require_apart(data.samples, data.samples, "calibrate")
    require_apart(data.samples, [Sample(array(9), "other")], "calibrate")
