"""The real folders are recognised by themselves, with the counts that their page states."""

from collections import Counter

import numpy as np
import pytest

from outside import real_data
from triscope.kernel.data import Loaded, load, mask_of, open_data, read_image, read_mask
from triscope.kernel.data.splits import disjoint

pytestmark = pytest.mark.real


def counts(data, what):
    return dict(Counter(getattr(sample, what) for sample in data))


def test_mvtec_bottle():
    data = open_data(real_data("mvtec_bottle"))
    assert (data.layout, counts(data, "split")) == ("mvtec", {"train": 209, "test": 83})
    assert sum(s.mask is not None for s in data) == 63
    sample = next(s for s in data if s.mask is not None)
    image = read_image(sample.source)
    assert image.shape == (448, 448, 3)
    assert mask_of(sample.mask, image.shape[:2]).any()


def test_hazelnut_toy():
    data = open_data(real_data("hazelnut_toy"))
    assert (data.layout, counts(data, "split")) == ("mvtec", {"train": 28, "test": 23})
    assert sum(s.mask is not None for s in data) == 17


def test_magnetic_tile():
    data = open_data(real_data("magnetic_tile"))
    assert data.layout == "pairs"
    assert counts(data, "label") == {"good": 150, "Blowhole": 115, "Fray": 32, "Uneven": 103}
    assert data.problems == () or all("mask" in problem for problem in data.problems)


def test_neu_det():
    data = open_data(real_data("neu_det"))
    assert (data.layout, counts(data, "split")) == ("voc", {"train": 1260, "test": 540})
    assert data.classes == (
        "crazing",
        "inclusion",
        "patches",
        "pitted_surface",
        "rolled-in_scale",
        "scratches",
    )
    assert sum(len(s.boxes) for s in data) == 4189 - 3
    assert [problem[:40] for problem in data.problems] == [
        "boxes given twice were counted once: 3 ("
    ]
    low = np.array([b.box for s in data for b in s.boxes])
    assert low.min() == 0
    assert low.max() == 200
    copies = {"IMAGES/patches_101.jpg", "IMAGES/patches_105.jpg"}
    left = copies - {s.name for s in disjoint(data)}
    assert left == {"IMAGES/patches_101.jpg"}  # in train, while its copy is in test


def test_crackforest():
    pytest.importorskip("scipy")
    data = open_data(real_data("crackforest"))
    assert (data.layout, len(data)) == ("masks", 155)
    assert counts(data, "label") == {"defect": 118, None: 37}
    share = np.mean([read_mask(s.mask).mean() for s in data if s.mask is not None])
    assert 0.005 < share < 0.05


def test_deeppcb_subset():
    data = open_data(real_data("deeppcb_subset"))
    assert data.layout == "deeppcb"
    assert counts(data, "split") == {"train": 100, "test": 21}
    assert all(s.reference is not None and s.boxes for s in data)
    sample = data[0]
    image, good = read_image(sample.source), read_image(sample.reference)
    assert image.shape == good.shape
    changed = np.abs(image.astype(int) - good.astype(int)) > 128
    inside = np.zeros(changed.shape[:2], bool)
    for box in sample.boxes:
        x0, y0, x1, y1 = map(int, box.box)
        inside[y0:y1, x0:x1] = True
    flat = changed if changed.ndim == 2 else changed.any(axis=2)
    assert flat[inside].mean() > 3 * flat[~inside].mean()


def test_print3d():
    data = open_data(real_data("print3d"))
    assert (data.layout, len(data)) == ("pairs", 200)
    assert len({s.group for s in data}) == 20


def test_reading_ahead_keeps_the_order():
    data = open_data(real_data("hazelnut_toy"))
    items = list(load(data, lambda s: read_image(s.source).shape, workers=3))
    assert all(isinstance(item, Loaded) for item in items)
    assert [item.sample for item in items] == list(data)
