"""Train, calibrate and test: disjoint by name, by group and by content.

Samples of one group (a part, a person, a video) and images of the same content go together
wherever splits are drawn; where a layout names splits, a copy leaves the earlier of the two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from triscope.errors import BadSettings, DataError, LeakedData
from triscope.kernel.data.problems import Problems
from triscope.kernel.data.sample import GOOD, Dataset, Sample, Split
from triscope.kernel.data.source import fingerprints

LATER: tuple[Split, ...] = ("train", "calibrate", "test")
By = str | Callable[[Sample], str | None] | None


def grouped(data: Dataset, by: By) -> Dataset:
    """The samples with their groups: a function of the sample, or a pattern found in its name.

    Of a pattern, the first bracket is the group (``r"P(\\d+)"``), or all of it.
    """
    if by is None:
        return data
    name = _found(re.compile(by)) if isinstance(by, str) else by
    return replace(data, samples=tuple(replace(s, group=name(s)) for s in data))


def _found(pattern: re.Pattern[str]) -> Callable[[Sample], str | None]:
    def group(sample: Sample) -> str | None:
        match = pattern.search(sample.name)
        return match[1 if pattern.groups else 0] if match else None

    return group


def units(samples: Sequence[Sample]) -> list[list[int]]:
    """Places of the samples that must stay together: of one group, or of the same content."""
    parent = list(range(len(samples)))

    def top(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    first: dict[tuple[str, str], int] = {}
    hashes = fingerprints([sample.source for sample in samples])
    for place, (sample, content) in enumerate(zip(samples, hashes, strict=True)):
        for kind, key in (("group", sample.group), ("content", content)):
            if key is not None:
                other = first.setdefault((kind, key), place)
                parent[top(place)] = top(other)
    members: dict[int, list[int]] = {}
    for place in range(len(samples)):
        members.setdefault(top(place), []).append(place)
    return list(members.values())


def hold_out(
    samples: Sequence[Sample], share: float, seed: int, name: str = ""
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Two disjoint parts in the given order, the second of about ``share``, drawn by the seed.

    At least one unit (see :func:`units`) goes to each part; raises DataError where there is one.
    """
    together = units(samples)
    if len(together) < 2:
        raise DataError(
            f"{name or 'the data'} holds {_counted(samples)}: learning needs at least one and "
            "calibrating one more. Give more images, or fit with calibrate=0 to go without "
            "thresholds."
        )
    order = np.random.default_rng(seed).permutation(len(together))
    wanted = max(1, round(share * len(samples)))
    out: set[int] = set()
    for unit in order[:-1]:
        if len(out) >= wanted:
            break
        out.update(together[unit])
    train = tuple(sample for i, sample in enumerate(samples) if i not in out)
    return train, tuple(sample for i, sample in enumerate(samples) if i in out)


def _counted(samples: Sequence[Sample]) -> str:
    if len(samples) == 1:
        return "one usable image"
    return f"{len(samples)} usable images, all of one group or content"


def split_data(
    data: Dataset,
    *,
    calibrate: float = 0.2,
    test: float = 0.2,
    seed: int = 0,
    by: By = None,
    train_on: str = "all",
) -> Dataset:
    """Every sample gets a split; the same seed gives the same.

    Splits that the layout names are kept; where it names none for calibration, that part is drawn
    from its training samples. ``train_on="good"`` keeps defects out of the training split. Labels
    are drawn in proportion.
    """
    for name, share in (("calibrate", calibrate), ("test", test)):
        if not 0 <= share < 1:
            raise BadSettings(f"{name}={share:g}: expected a share in [0, 1).")
    if calibrate + test >= 1:
        raise BadSettings(f"calibrate + test = {calibrate + test:g}: nothing is left to train on.")
    if train_on not in ("all", "good"):
        raise BadSettings(f"train_on={train_on!r}: expected 'all' or 'good'.")
    data = grouped(data, by)
    if not any(sample.split for sample in data):
        shares = {"test": test, "calibrate": calibrate}
        return _assigned(data, list(range(len(data))), shares, seed, train_on)
    data = disjoint(data)
    if calibrate and not data.split("calibrate"):
        places = [i for i, sample in enumerate(data) if sample.split == "train"]
        data = _assigned(data, places, {"calibrate": calibrate}, seed, train_on)
    return data


def _assigned(
    data: Dataset, places: list[int], shares: dict[str, float], seed: int, train_on: str
) -> Dataset:
    """The samples at these places spread over the splits, label by label, unit by unit."""
    together = units([data[i] for i in places])
    strata: dict[str, list[list[int]]] = {}
    for unit in together:
        members = [places[i] for i in unit]
        labels = sorted({data[i].label or GOOD for i in members} - {GOOD})
        strata.setdefault(labels[0] if labels else GOOD, []).append(members)
    splits: dict[int, Split] = {}
    for number, label in enumerate(sorted(strata)):
        order = np.random.default_rng([seed, number]).permutation(len(strata[label]))
        group = [strata[label][i] for i in order]
        apart = shares
        if train_on == "good" and label != GOOD and (whole := sum(shares.values())):
            apart = {name: share / whole for name, share in shares.items()}
        splits |= _dealt(group, apart)
    samples = [replace(s, split=splits.get(i, s.split)) for i, s in enumerate(data)]
    return replace(data, samples=tuple(samples))


def _dealt(units_of_label: list[list[int]], shares: dict[str, float]) -> dict[int, Split]:
    """Units one after the other into the split that lacks most of its share."""
    total = sum(len(unit) for unit in units_of_label)
    missing = {name: share * total for name, share in shares.items()}
    missing["train"] = total - sum(missing.values())
    splits: dict[int, Split] = {}
    for unit in units_of_label:
        name = max(missing, key=lambda key: missing[key])
        missing[name] -= len(unit)
        splits |= dict.fromkeys(unit, name)  # type: ignore[arg-type]
    return splits


def disjoint(data: Dataset) -> Dataset:
    """The data without copies in an earlier split of what a later one holds; each is counted."""
    hashes = fingerprints([sample.source for sample in data])
    last: dict[str, int] = {}
    for sample, content in zip(data, hashes, strict=True):
        if content is not None and sample.split is not None:
            last[content] = max(last.get(content, 0), LATER.index(sample.split))
    problems = Problems()
    kept = []
    for sample, content in zip(data, hashes, strict=True):
        rank = LATER.index(sample.split) if sample.split else 0
        if content is not None and sample.split and rank < last[content]:
            later = LATER[last[content]]
            problems.add(f"images also stand in {later} and left {sample.split}", sample.name)
        else:
            kept.append(sample)
    return replace(data, samples=tuple(kept), problems=data.problems + problems.told())


def folds(data: Dataset, count: int, seed: int = 0, by: By = None) -> list[tuple[Dataset, Dataset]]:
    """``count`` pairs (train, test): every sample is tested once, labels in proportion."""
    data = grouped(data, by)
    together = units(data.samples)
    if not 2 <= count <= len(together):
        raise BadSettings(
            f"folds={count}: expected 2 to {len(together)}, the number of images or groups that "
            "can be apart."
        )
    number: dict[int, int] = {}
    sizes = [0] * count
    strata: dict[str, list[list[int]]] = {}
    for unit in together:
        labels = sorted({data[i].label or GOOD for i in unit} - {GOOD})
        strata.setdefault(labels[0] if labels else GOOD, []).append(unit)
    for stratum, label in enumerate(sorted(strata)):
        order = np.random.default_rng([seed, stratum]).permutation(len(strata[label]))
        mine = [0] * count
        for unit in (strata[label][i] for i in order):
            fold = min(range(count), key=lambda f: (mine[f], sizes[f]))
            mine[fold] += len(unit)
            sizes[fold] += len(unit)
            number |= dict.fromkeys(unit, fold)
    return [
        (_part(data, number, fold, "train"), _part(data, number, fold, "test"))
        for fold in range(count)
    ]


def _part(data: Dataset, number: dict[int, int], fold: int, split: Split) -> Dataset:
    samples = [
        replace(sample, split=split)
        for i, sample in enumerate(data)
        if (number[i] == fold) == (split == "test")
    ]
    return replace(data, samples=tuple(samples))


def require_apart(first: Sequence[Sample], second: Sequence[Sample], purpose: str) -> None:
    """Raise LeakedData where an image of ``second`` has the content of one of ``first``."""
    known = dict(zip(fingerprints([s.source for s in first]), first, strict=True))
    both = [
        (known[content], sample)
        for content, sample in zip(fingerprints([s.source for s in second]), second, strict=True)
        if content is not None and content in known
    ]
    if both:
        one, other = both[0]
        raise LeakedData(
            f"{len(both)} of the images to {purpose} are among those to keep apart from it: "
            f"{other.name} is {one.name}. Give other images."
        )
