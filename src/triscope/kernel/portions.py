"""Who learns and who calibrates: disjoint parts of the data that a fit was given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from triscope.errors import BadSettings, DataError, EmptyData
from triscope.kernel.data import Dataset, Sample, open_data
from triscope.kernel.data.problems import UNLABELLED, Problems
from triscope.kernel.data.splits import hold_out, units
from triscope.kernel.runtime.check import as_sample

BAD = {"bad", "defect", "defects", "defective", "ng", "nok", "fail", "failed", "anomaly"}
Opener = Callable[[Any], Dataset]


@dataclass(frozen=True, eq=False)
class Portions:
    """The samples to learn from, those held out to calibrate, and the data set they are of.

    ``train`` is an iterator where the data can be walked only once; ``own`` says that the held
    out samples were given by the user and may repeat what was learned from by mistake.
    """

    data: Dataset
    train: Sequence[Sample] | Iterator[Sample]
    held: Dataset
    own: bool = False
    notes: tuple[str, ...] = ()


def portions_of(
    source: Any, calibrate: Any, seed: int, *, opener: Opener | None = None, labelled: bool
) -> Portions:
    """Split what a fit was given; models that are not ``labelled`` learn from good samples alone.

    ``calibrate`` is a share in [0, 1), or data of its own. A split that the layout names is kept.
    """
    open_source = opener or open_data
    share = _share(calibrate)
    own = None if share is not None else _of_own(open_source(calibrate), labelled)
    if isinstance(source, Iterator):
        if share:
            raise BadSettings(
                f"calibrate={share:g}: nothing can be held out of an iterator. Give images of "
                "their own to calibrate, or calibrate=0."
            )
        return Portions(Dataset((), "", "iterator"), map(as_sample, source), own or _none(), True)
    data = open_source(source)
    usable, left_out = _to_learn_from(data, labelled)
    if own is not None:
        return Portions(data, usable, own, True, left_out)
    kept = _of_own(data.split("calibrate"), labelled) if data.split("calibrate") else None
    if kept is not None or not share:
        return Portions(data, usable, kept or _none(), notes=left_out)
    if len(usable) == 1:
        raise DataError(
            f"{data.root or 'the data'} holds one usable image: learning needs at least one and "
            "calibrating one more. Give more images, or fit with calibrate=0 to go without "
            "thresholds."
        )
    usable, notes = _apart(usable)
    judged = _judged(usable) if labelled else usable
    train, held = hold_out(judged, share, seed, data.root)
    if labelled:
        if len(judged) < len(usable):
            train += tuple(sample for sample in usable if sample.label is None)
        train, held, more = _all_taught(train, held)
        notes += more
    held_out = Dataset(held, data.root, data.layout, data.classes)
    return Portions(data, train, held_out, notes=left_out + notes)


def _share(calibrate: Any) -> float | None:
    if isinstance(calibrate, bool) or not isinstance(calibrate, int | float):
        return None
    if not 0 <= calibrate < 1:
        raise BadSettings(f"calibrate={calibrate}: expected a share in [0, 1), or images.")
    return float(calibrate)


def _to_learn_from(data: Dataset, labelled: bool) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    """Training samples, and what is told of those left out.

    Where no split is named, all that are not kept for something else.
    """
    pool = tuple(data.split("train") or data.where(lambda s: s.split is None))
    usable, notes = (pool, ()) if labelled else _good_of(pool)
    if not labelled:
        _must_not_be_mixed(usable, data)
    if not usable:
        labels = sorted({s.label or "no label" for s in data})
        raise EmptyData(
            f"{data.root or 'the data'} holds no {'labelled' if labelled else 'good'} image to "
            f"learn from: {len(data)} images in the layout {data.layout!r}, labelled "
            f"{', '.join(labels[:5]) or 'nothing'}. Put good parts into train/good or good/."
        )
    return usable, notes


def _good_of(pool: tuple[Sample, ...]) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    """The good ones, and what is told of those without label.

    Where nobody labelled any, all are taken for good.
    """
    judged, problems = _judged(pool), Problems()
    if len(judged) < len(pool):
        for sample in pool:
            if sample.label is None:
                problems.add(UNLABELLED, sample.name)
    return tuple(sample for sample in judged if _may_be_good(sample)), problems.told()


def _must_not_be_mixed(samples: Iterable[Sample], data: Dataset) -> None:
    """Raise DataError for unlabelled images whose folders look as if they named defects."""
    names = {s.name.split("/")[0] for s in samples if s.label is None and "/" in s.name}
    if data.layout == "images" and (len(names) > 1 or {n.lower() for n in names} & BAD):
        raise DataError(
            f"{data.root} holds images in the folders {', '.join(sorted(names)[:5])}, none of them "
            "called good: which are good parts? Put those into a folder called good, or give the "
            f"images by a pattern: '{data.root}/**/*.png'."
        )


def _of_own(data: Dataset, labelled: bool) -> Dataset:
    return replace(data, samples=_judged(data) if labelled else _good_of(tuple(data))[0])


def _judged(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """Those that somebody labelled; all where nobody labelled any.

    Beside labelled ones, an image without a label is not known to be good: it tests nothing.
    """
    found = tuple(samples)
    return tuple(sample for sample in found if sample.label is not None) or found


def _apart(usable: tuple[Sample, ...]) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    """Images that are all of one group, each by itself: there is no other group to hold out."""
    groups = {sample.group for sample in usable}
    if len(groups) != 1 or None in groups:
        return usable, ()
    note = (
        f"all {len(usable)} images to learn from are of the group {groups.pop()}: what is held out "
        "is of it too, so that thresholds promise nothing about others"
    )
    return tuple(replace(sample, group=None) for sample in usable), (note,)


def _all_taught(
    train: tuple[Sample, ...], held: tuple[Sample, ...]
) -> tuple[tuple[Sample, ...], tuple[Sample, ...], tuple[str, ...]]:
    """No class is held out as a whole: with few images of it they teach, and nothing tests them."""
    taught = _shown_by(train)
    lost = sorted(_shown_by(held) - taught)
    if not lost:
        return train, held, ()
    back: set[int] = set()
    for unit in units(held):
        if _shown_by([held[i] for i in unit]) - taught:
            back.update(unit)
    train = (*train, *(held[i] for i in sorted(back)))
    note = f"classes with so few images that none could be held out: {', '.join(lost)}"
    return train, tuple(s for i, s in enumerate(held) if i not in back), (note,)


def _shown_by(samples: Iterable[Sample]) -> set[str]:
    """The labels of the samples and of their boxes."""
    return {name for s in samples for name in (s.label, *(box.label for box in s.boxes)) if name}


def _may_be_good(sample: Sample) -> bool:
    return sample.good or sample.label is None


def _none() -> Dataset:
    return Dataset((), "", "list")
