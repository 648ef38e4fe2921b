"""What is there is counted, and a check finds what was planted."""

import numpy as np
from data_sets import image_of, mvtec, put, spot

from triscope.kernel.data import BoxLabel, Dataset, Sample, open_data
from triscope.kernel.data.summary import check_data, summarise


def test_counts(tmp_path):
    put(mvtec(tmp_path) / "train/good/wide.png", image_of(10, 40))
    put(tmp_path / "train/good/broken.png", "no image")
    seen = []
    summary = summarise(open_data(tmp_path), report=lambda *at: seen.append(at))
    assert summary.splits == {"test": {"good": 1, "scratch": 2}, "train": {"good": 6}}
    assert (summary.samples, summary.masks, summary.unreadable) == (9, 2, 1)
    assert summary.sizes == (((20, 30), 7), ((10, 40), 1))
    assert "images could not be read: 1 (train/good/broken.png" in summary.problems[0]
    assert seen[-1] == ("sizes", 9, 9)
    assert summary.to_dict()["sizes"][0] == {"h": 20, "w": 30, "images": 7}


def test_a_clean_set_has_nothing_to_mend(tmp_path):
    checked = check_data(open_data(mvtec(tmp_path)))
    assert (checked.problems, checked.unreadable) == ((), ())
    assert checked.kinds == {"colour, 8 bit": 7}


def test_everything_planted_is_found(tmp_path):
    same = image_of(seed=5)
    samples = (
        Sample(same, "a", "good", split="train", group="g"),
        Sample(put(tmp_path / "b.bmp", same), "b", "dent", split="test", group="g"),
        Sample(image_of(4, 30, channels=1), "tiny", "good"),
        Sample(np.zeros((20, 20), np.uint16), "flat", "good"),
        Sample(image_of(), "empty mask", "dent", spot() * 0),
        Sample(image_of(), "wrong mask", "dent", spot(9, 9)),
        Sample(image_of(), "lost mask", "dent", tmp_path / "none.png"),
        Sample(tmp_path / "gone.png", "gone", "dent"),
        Sample(image_of(), "other reference", "dent", reference=image_of(9, 9)),
        Sample(image_of(), "boxed", "rust", boxes=(BoxLabel("rust", (0, 0, 1, 1)),)),
    )
    checked = check_data(Dataset(samples, classes=("dent", "rust", "oil")))
    assert [item.source for item in checked.unreadable] == ["gone"]
    told = " | ".join(checked.problems)
    for line in (
        "images could not be read: 1 (gone (",
        "images have a side under 8 px: 1 (tiny)",
        "images are of one single value: 1 (flat)",
        "defects have an empty mask: 1 (empty mask)",
        "masks are of another size than their image: 1 (wrong mask)",
        "masks could not be read: 1 (lost mask)",
        "references are of another size than their image: 1 (other reference)",
        "pictures are there more than once, pixel by pixel: 1 (a = b)",
        "pictures stand in several splits: 1 (a = b)",
        "pictures are there with different labels: 1 (a = b)",
        "groups stand in several splits: 1 (g)",
        "classes have one single example: 1 (rust)",
        "classes have no example: 2 (dent, oil)",
    ):
        assert line in told
    assert checked.kinds == {"colour, 8 bit": 7, "grey, 8 bit": 1, "grey, 16 bit": 1}
