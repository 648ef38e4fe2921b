"""``triscope fit auto``: which model suits the labels at hand, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from triscope.errors import EmptyData
from triscope.kernel import catalogue
from triscope.kernel.data import Dataset

SMALLER = "ddn-cpu"
FEW = 0.5  # share of the defective images with masks below which the masks are few


@dataclass(frozen=True)
class Choice:
    """A model, the sentence that says why, and the settings that suit the machine."""

    name: str
    why: str
    settings: Mapping[str, Any] = field(default_factory=dict)


def choose(data: Dataset) -> Choice:
    """The rung of the ladder from "only good" to "all labelled" that these images stand on."""
    pool = data.split("train") or data.where(lambda sample: sample.split is None)
    if not len(pool):
        raise EmptyData(f"{data.root or 'the data'} holds no image to learn from.")
    good = sum(sample.good for sample in pool)
    boxed = sum(bool(sample.boxes) for sample in pool)
    drawn = sum(sample.mask is not None and not sample.good for sample in pool)
    bad = sum(sample.label is not None and not sample.good for sample in pool)
    unknown = len(pool) - good - bad
    if drawn:
        return _masks(good, bad, drawn, unknown)
    if boxed:
        return _detector(f"{boxed} of {len(pool)} images have boxes: a detector names defects.")
    kinds = {sample.label for sample in pool if sample.label is not None}
    if bad and len(kinds) > 1:
        return Choice(
            "classifier",
            f"{good} good and {bad} defective images are labelled, none is drawn: a classifier "
            "learns the labels and shows where it looked.",
        )
    return Choice(
        "patchcore",
        f"{good or unknown} good images and no labelled defect to learn from: a memory of good "
        "patches finds whatever differs.",
    )


def _detector(why: str) -> Choice:
    """``ddn``; the published settings want a GPU, so that a machine without one gets others."""
    from torch import cuda

    if cuda.is_available():
        return Choice("ddn", why)
    told = (
        f"{why} There is no GPU here: with the settings {SMALLER} in place of the published ones."
    )
    return Choice("ddn", told, catalogue.recipe_settings(SMALLER))


def _masks(good: int, bad: int, drawn: int, unknown: int) -> Choice:
    told = f"{drawn} of {bad} defective images have masks"
    if good and drawn < FEW * bad:
        return Choice("mixed", f"{told}: labels teach the decision, the masks the places.")
    if unknown > drawn:
        return Choice("semi", f"{told}, {unknown} images are not labelled: they help a teacher.")
    return Choice("unet", f"{told}: segmentation learns them pixel by pixel.")
