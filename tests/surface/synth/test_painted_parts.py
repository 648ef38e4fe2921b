"""Painted parts: the same seed gives the same part, and a mask marks what the defect changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from triscope.errors import BadSettings
from triscope.kernel.data import open_data, read_image, read_mask
from triscope.surface import synth

WAYS = [(kind, defect) for kind, defects in synth.KINDS.items() for defect in defects]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(("kind", "defect"), [*WAYS, ("metal", "good"), ("woven", "good")])
def test_the_same_seed_paints_the_same_part(kind: str, defect: str) -> None:
    np.random.seed(1)  # noqa: NPY002 (the global state must not matter)
    first = synth.paint(kind, defect, rng(3))
    np.random.seed(2)  # noqa: NPY002
    again, other = synth.paint(kind, defect, rng(3)), synth.paint(kind, defect, rng(4))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.mask, again.mask)
    assert (first.image != other.image).mean() > 0.5
    assert first.image.dtype == np.uint8
    assert first.image.shape == (256, 256, 3)
    assert first.mask.dtype == np.bool_
    assert first.mask.shape == (256, 256)


@pytest.mark.parametrize(("kind", "defect"), WAYS)
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_the_mask_marks_what_changed(kind: str, defect: str, seed: int) -> None:
    """Against the good part of the same seed: little changes outside, much inside."""
    good, bad = synth.paint(kind, "good", rng(seed)), synth.paint(kind, defect, rng(seed))
    assert not good.mask.any()
    assert 20 < bad.mask.sum() < 0.15 * bad.mask.size
    change = np.abs(good.image.astype(int) - bad.image).max(-1)
    assert change[bad.mask].mean() > 12
    assert (change[~bad.mask] > 25).mean() < 0.004


def test_defects_stay_on_the_metal() -> None:
    from triscope.surface.synth.metal import metal

    for seed in range(6):
        where = metal(rng(seed), (256, 256))[1]
        for defect in synth.KINDS["metal"]:
            assert not (synth.paint("metal", defect, rng(seed)).mask & ~where).any()


@pytest.mark.parametrize("size", [(64, 64), (96, 200), (300, 128)])
def test_any_size(size: tuple[int, int]) -> None:
    for kind, defect in WAYS:
        painted = synth.paint(kind, defect, rng(5), size)
        assert painted.image.shape == (*size, 3)
        assert painted.mask.any(), (kind, defect)


@pytest.mark.parametrize("defect", ["scratch", "dent", "stain"])
def test_spoil_leaves_its_input_and_keeps_to_the_surface(defect: str) -> None:
    picture = rng(7).integers(60, 190, (120, 90, 3), dtype=np.uint8)
    before = picture.copy()
    where = np.zeros((120, 90), np.bool_)
    where[30:90, 20:70] = True
    spoiled = synth.spoil(picture, defect, rng(8), where)
    np.testing.assert_array_equal(picture, before)
    assert spoiled.mask.any()
    assert not (spoiled.mask & ~where).any()
    assert (spoiled.image[~where] == picture[~where]).all()


def test_a_wrong_name_is_answered_with_the_closest() -> None:
    with pytest.raises(BadSettings, match=r"no painted part named 'wovn'\. Did you mean 'woven'\?"):
        synth.paint("wovn", "good", rng())
    with pytest.raises(BadSettings, match=r"no defect on woven named 'dent'\. There are: good"):
        synth.paint("woven", "dent", rng())
    with pytest.raises(BadSettings, match=r"size=\(8, 8\): painted parts are 64 x 64 pixels"):
        synth.paint("woven", "good", rng(), (8, 8))
    grey = np.zeros((90, 90), np.uint8)
    with pytest.raises(BadSettings, match=r"uint8 \(h, w, 3\), got uint8 \(90, 90\)"):
        synth.spoil(grey, "dent", rng())


def test_a_written_set_is_read_as_written(tmp_path: Path) -> None:
    counts = synth.Counts(train=3, calibrate=1, good=2, bad=1)
    steps: list[tuple[int, int]] = []
    synth.write_set(
        tmp_path / "a", counts=counts, size=(64, 64), progress=lambda *s: steps.append(s)
    )
    data = open_data(tmp_path / "a")
    counted = [len(data.split(split)) for split in ("train", "calibrate", "test")]
    assert (data.layout, counted) == ("mvtec", [6, 2, 9])
    assert set(data.classes) == {"scratch", "dent", "stain", "missing_thread"}
    assert steps[-1] == (17, 17)
    bad = next(s for s in data if s.label == "missing_thread")
    mask = read_mask(bad.mask)  # type: ignore[arg-type]
    assert mask.shape == (64, 64)
    assert mask.any()


def test_a_picture_does_not_depend_on_the_counts(tmp_path: Path) -> None:
    few, many = synth.Counts(train=1, good=1, bad=1), synth.Counts(train=2, good=1, bad=2)
    for place, counts in (("few", few), ("many", many)):
        synth.write_set(tmp_path / place, ["metal"], counts, seed=5, size=(64, 64))
    for name in ("train/good/metal_000.png", "test/dent/metal_000.png"):
        one, other = (read_image(tmp_path / place / name) for place in ("few", "many"))
        np.testing.assert_array_equal(one, other)
    first, second = (read_image(tmp_path / f"many/train/good/metal_00{i}.png") for i in (0, 1))
    assert (first != second).any()
