"""Measuring a check: what it has met is left out, wrong masks are skipped, numbers are by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from triscope.errors import EmptyData, LeakedData
from triscope.kernel.data import GOOD, Dataset, Sample
from triscope.kernel.results import Zones
from triscope.kernel.runtime.card import Card
from triscope.kernel.runtime.heatmap import HeatmapCheck
from triscope.kernel.runtime.seen import Seen

ZONES = Zones(0.3, 0.5, pixel_above=0.4)


class Brightness:
    """An engine whose heat is the red channel."""

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        heat = inputs["images"][:, 0]
        return {"heat": heat, "score": heat.max((1, 2))}


def check(seen: Seen | None = None) -> HeatmapCheck:
    card = Card("brightness", "Heatmap", {}, (8, 8), zones=ZONES)
    return HeatmapCheck(card, {"model": Brightness()}, seen or Seen())


def part(name: str, value: int, label: str | None, **more: object) -> Sample:
    """A dark picture with a square of this brightness, which is the mask of a defect."""
    image, mask = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.bool_)
    image[2:5, 2:5], mask[2:5, 2:5] = value, True
    image[7, 7] = len(name) % 7  # no two pictures are the same
    mask_or_none = mask if label not in (None, GOOD) else None
    return Sample(image, name, label, **{"mask": mask_or_none, **more})  # type: ignore[arg-type]


def parts() -> list[Sample]:
    good = [part(f"good {'x' * i}", value, GOOD) for i, value in enumerate((0, 20, 60, 140))]
    return [*good, part("dent", 200, "dent"), part("stain", 255, "stain"), part("hid", 40, "stain")]


def test_figures_are_those_computed_by_hand() -> None:
    found = check().evaluate(parts())
    assert found.images == {"good": 4, "defective": 3}
    # 12 pairs; the hidden stain (40) scores below two good parts (60, 140).
    assert found.image["auroc"].value == pytest.approx(10 / 12)
    assert found.outcomes == {
        "good": {"pass": 3, "review": 0, "fail": 1},
        "defective": {"pass": 1, "review": 0, "fail": 2},
    }
    assert [wrong["name"] for wrong in found.mistakes] == ["hid", "good xxx"]
    assert found.pixel is not None
    assert found.pixel["auroc"].value > 0.9
    assert found.notes == ()


def test_what_the_check_has_met_is_left_out_and_told() -> None:
    samples, seen = parts(), Seen()
    seen.add(samples[:1], "train")
    seen.add(samples[1:2], "calibrate")
    seen.add(samples[4:5], "regression")  # defects that must be caught may be measured
    found = check(seen).evaluate([*samples, part("nobody said", 9, None)])
    assert found.images == {"good": 2, "defective": 3}
    assert found.notes == (
        "2 images were left out, since the check was fitted or calibrated on them.",
        "1 images without a label were left out.",
    )


def test_only_the_test_split_is_measured() -> None:
    split = Dataset(
        tuple(part(f"{i}", 10 * i, GOOD, split=name) for i, name in enumerate(["train", "test"]))
    )
    assert check().evaluate(split).images == {"good": 1, "defective": 0}


def test_nothing_new_is_refused() -> None:
    samples, seen = parts(), Seen()
    seen.add(samples, "train")
    with pytest.raises(LeakedData, match="fitted or calibrated on all 7 labelled images"):
        check(seen).evaluate(samples)


def test_nothing_labelled_is_refused() -> None:
    with pytest.raises(EmptyData, match="holds no labelled image to measure with \\(1 without"):
        check().evaluate([part("a", 1, None)])


def test_unreadable_files_and_wrong_masks_are_skipped(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    wrong = part("wrong mask", 90, "dent", mask=np.ones((3, 3), np.bool_))
    measured = check()
    found = measured.evaluate([*parts(), Sample(broken, "broken", "dent"), wrong])
    assert found.images == {"good": 4, "defective": 3}
    told = {item.source: item.error for item in measured.skipped}
    assert set(told) == {"broken", "wrong mask"}
    assert "3 x 3 pixels, its image 8 x 8" in told["wrong mask"]
    with pytest.raises(EmptyData, match="none of the 1 labelled captures could be read"):
        check().evaluate([Sample(broken, "broken", "dent")])


def test_the_answer_does_not_depend_on_threads() -> None:
    one, two = (check().evaluate(parts(), workers=workers).to_dict() for workers in (0, 2))
    assert one == two
