"""Which labelled samples can teach a model of known defects; what is left out is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from triscope.errors import DataError
from triscope.kernel.data import Dataset, Problems, Sample, checked_boxes, size_of
from triscope.kernel.data.problems import UNLABELLED

Needs = Literal["label", "boxes", "mask"]
Found = tuple[tuple[Sample, ...], tuple[str, ...]]  # samples to learn from, lines of problems


def teachable(data: Dataset, classes: Sequence[str], needs: Needs) -> Found:
    """The samples with the labels that are needed, and lines about the others.

    An image that nobody labelled must not teach that nothing is there; a good one does. Boxes are
    clipped to their image, counted once, and left out where they have no area, lie outside, or are
    of another class.
    """
    problems = Problems()
    pick = {"label": _labelled, "boxes": _boxed, "mask": _drawn}[needs]
    kept = [found for s in data if (found := pick(s, classes, problems)) is not None]
    shown = {s.label for s in kept} | {box.label for s in kept for box in s.boxes}
    for name in classes:
        if kept and name not in shown:
            problems.add("classes that no image to learn from shows", name)
    return tuple(kept), problems.told()


def _labelled(sample: Sample, classes: Sequence[str], problems: Problems) -> Sample | None:
    if sample.label is None:
        problems.add(UNLABELLED, sample.name)
    elif sample.label not in classes:
        problems.add(f"images of a class that is not learned ({sample.label})", sample.name)
    else:
        return sample
    return None


def _drawn(sample: Sample, classes: Sequence[str], problems: Problems) -> Sample | None:
    if sample.label is None:
        problems.add(UNLABELLED, sample.name)
    elif not sample.good and sample.mask is None:
        problems.add("images of a defect without a mask were left out", sample.name)
    else:
        return sample
    return None


def _boxed(sample: Sample, classes: Sequence[str], problems: Problems) -> Sample | None:
    if not sample.boxes:
        if sample.good:
            return sample
        what = "a label" if sample.label is None else "boxes"
        kind = "images" if sample.label is None else "images of a defect"
        problems.add(f"{kind} without {what} were left out", sample.name)
        return None
    try:
        hw = size_of(sample.source)
    except DataError:
        return sample  # told where it is read
    boxes = checked_boxes(sample.boxes, hw, sample.name, problems, classes)
    if not boxes and any(box.label in classes for box in sample.boxes):
        problems.add("images without a usable box were left out", sample.name)
        return None
    return replace(sample, boxes=boxes)
