"""The verb ``learn``: a saved check takes in or forgets images, in seconds and without a refit.

Each change is a new version with its parent; the version before stays in ``history/``. Thresholds
are chosen again by the same promise on the images that were held out, and the regression set must
still be caught, else the version in force stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from triscope.errors import CheckError, DataError, EmptyData, UsageError
from triscope.kernel import catalogue
from triscope.kernel.data import Sample, fingerprint
from triscope.kernel.export.fitted import Fitted, restored
from triscope.kernel.export.graphs import graphs_of, torch_engines
from triscope.kernel.protocols import Forgets, LearnsByWatching, Progress, way_of_learning
from triscope.kernel.results import Inspection, Skipped
from triscope.kernel.runtime import Check, open
from triscope.kernel.runtime.calibrating import calibrate_again
from triscope.kernel.runtime.card import Card, Version, read_card
from triscope.kernel.runtime.engine import MAIN
from triscope.kernel.runtime.folder import HISTORY, versions
from triscope.kernel.runtime.golden import read_golden
from triscope.kernel.runtime.image import ImageCheck
from triscope.kernel.runtime.regression import not_caught, store
from triscope.kernel.runtime.saving import Opened, save
from triscope.kernel.runtime.seen import SeenImage, hash_of
from triscope.kernel.train.watching import numbered_rows, watch


@dataclass(frozen=True, eq=False)
class Change:
    """What a change did: the check as it is now, and what went in and out."""

    check: Check
    added: int = 0
    forgotten: int = 0
    known: int = 0  # images that the check had learned from already
    skipped: tuple[Skipped, ...] = ()
    calibrated: bool = False  # whether the thresholds were chosen again
    missed: tuple[Inspection | Skipped, ...] = ()  # defects that were not taken

    @property
    def version(self) -> int:
        """The number of the version that is now in force."""
        return self.check.card.version.number


def add(
    folder: str | Path, data: Any, *, workers: int = 1, progress: Progress | None = None
) -> Change:
    """Learn from more good images; those that are labelled as defects go to the regression set.

    Images that the check knows already are counted and passed over.
    Raises LeakedData (images that calibrate), RegressionFailed, EmptyData, CheckError.
    """
    check = open(folder)
    given = check.captures(data)
    good = given.where(_may_be_good)
    check.seen.refuse(good, ("calibrate", "regression"), "learn")
    missed: tuple[Inspection | Skipped, ...] = ()
    if len(good) < len(given):
        change = regression_add(folder, given.where(lambda sample: not _may_be_good(sample)))
        check, missed = change.check, change.missed
    skipped: list[Skipped] = []
    new = _unknown(good, check.seen.of("train"), skipped)
    known, before = len(good) - len(new) - len(skipped), len(check.seen.of("train"))
    count, calibrated = 0, False
    if new:
        model = _restored(check)
        rows = numbered_rows(
            new, _reader(check), check.seen, skipped, workers=workers, progress=progress
        )
        if not watch(model, rows):
            raise EmptyData(f"none of the {len(new)} new images could be read: {skipped[0].error}")
        count = len(check.seen.of("train")) - before
        calibrated = _keep(check, model, f"learned {count} more images", progress)
    return Change(check, count, 0, known, tuple(skipped), calibrated, missed)


def forget(
    folder: str | Path, images: Iterable[str | int | Path], *, progress: Progress | None = None
) -> Change:
    """Forget images that were learned from, by number, name or path; ``learned`` lists them."""
    check = open(folder)
    wanted = _numbers_of(check, images)
    if len(wanted) == len(check.seen.of("train")):
        raise UsageError(f"these are all {len(wanted)} images that {check.label} has learned from.")
    model = _restored(check)
    if not isinstance(model, Forgets):
        raise UsageError(f"{check.card.model} cannot forget images: fit it again without them.")
    model.forget(torch.tensor(wanted, dtype=torch.int64))
    cast(LearnsByWatching, model).settle()
    check.seen.drop(wanted)
    calibrated = _keep(check, model, f"forgot {len(wanted)} images", progress)
    return Change(check, forgotten=len(wanted), calibrated=calibrated)


def learned(folder: str | Path) -> list[SeenImage]:
    """The images that a check has learned from, with their numbers."""
    return open(folder).seen.of("train")


def history(folder: str | Path) -> list[Version]:
    """The versions of a check that are kept, the one in force last."""
    place = Path(folder)
    kept = [read_card(place / HISTORY / str(number)).version for number in versions(place)]
    return [*kept, read_card(place).version]


def rollback(folder: str | Path, to: int | None = None) -> Change:
    """Put an earlier version in force again, as a new version; by default the parent.

    The regression set of today stays, and is not asked: going back must always be possible.
    Raises CheckError where that version is not kept.
    """
    place = Path(folder)
    wanted = read_card(place).version.parent if to is None else to
    kept = versions(place)
    if wanted not in kept:
        shown = ", ".join(map(str, kept)) or "none"
        what = "no version before it" if wanted is None else f"no version {wanted}"
        raise CheckError(f"{place} keeps {what}; kept are: {shown}.")
    check = open(place / HISTORY / str(wanted))
    save(check, place, why=f"rolled back to {wanted}", verify=False)
    return Change(check)


def regression_add(folder: str | Path, data: Any) -> Change:
    """Add defects that every later version must catch, as a new version of the check.

    Those that the version in force lets pass are not taken; they come back as ``missed``.
    Raises UsageError where it catches none of them.
    """
    check = open(folder)
    given = check.captures(data)
    check.seen.refuse(given, ("train", "calibrate"), "the regression set")
    skipped: list[Skipped] = []
    new = _unknown(given, check.seen.of("regression"), skipped)
    known = len(given) - len(new) - len(skipped)
    missed = not_caught(check, new)
    names = {found.source for found in missed}
    caught = [sample for sample in new if sample.name not in names]
    if not caught and missed:
        raise UsageError(
            f"{check.label} catches none of these {len(missed)} defects (first: "
            f"{missed[0].source}), so no later version can be asked to. Calibrate or learn first."
        )
    if caught:
        check.origin = _Taking(Path(folder), caught)
        save(check, why=f"{len(caught)} more defects in the regression set")
    return Change(check, len(caught), 0, known, tuple(skipped), missed=tuple(missed))


def regression_list(folder: str | Path) -> list[SeenImage]:
    """The defects that must be caught."""
    return open(folder).seen.of("regression")


class _Taking:
    """The files of a folder, and copies of defects beside them."""

    def __init__(self, folder: Path, defects: Sequence[Sample]) -> None:
        self.folder, self.defects = folder, defects

    def write(self, folder: Path, check: Check) -> Card:
        """See ``kernel.runtime.check.Origin``."""
        card = Opened(self.folder).write(folder, check)
        for sample in self.defects:
            check.seen.take(store(sample, folder))
        return card


def _restored(check: Check) -> Any:
    """The model as it was after fitting; raises UsageError where it cannot learn more."""
    name = check.card.model
    ways = way_of_learning(catalogue.load(name))
    if ways != ("watching",):
        raise UsageError(
            f"{name} learns by training, not by watching: fit it again with the new images."
        )
    return restored(check)


def _keep(check: Check, model: Any, why: str, progress: Progress | None) -> bool:
    """Export, calibrate as before, verify and save; whether thresholds were chosen again."""
    assert check.folder is not None
    graphs = graphs_of(model, check.card.answers, check.card.size)
    golden = read_golden(check.folder)[0].get(MAIN)
    check.origin = Fitted(model, graphs, [golden] if golden else [], check.card.engine)
    check.engines = dict(torch_engines(graphs))
    calibrated = calibrate_again(check, progress)
    train = check.seen.of("train")
    data = {**check.card.data, "train": len(train), "hash": hash_of(train)}
    check.card = check.card.with_(data=data)
    save(check, why=why)
    return calibrated


def _reader(check: Check) -> ImageCheck:
    if not isinstance(check, ImageCheck):
        raise UsageError(f"{check.card.model} does not learn from single images: fit it again.")
    return check


def _numbers_of(check: Check, images: Iterable[str | int | Path]) -> list[int]:
    known = check.seen.of("train")
    found: list[int] = []
    for wanted in images:
        names = {str(wanted), str(Path(str(wanted)).absolute())}
        match = [i.id for i in known if i.id == wanted or names & {i.name, i.source, str(i.id)}]
        if not match:
            raise UsageError(
                f"{check.label} has not learned from {wanted!r}; it knows {len(known)} images, "
                f"such as {known[0].id}: {known[0].name}."
            )
        found += match
    if not found:
        raise UsageError("no image was named to forget.")
    return sorted(set(found))


def _unknown(
    samples: Iterable[Sample], known: Iterable[SeenImage], skipped: list[Skipped]
) -> list[Sample]:
    """The samples that are not known yet; unreadable ones go to ``skipped``."""
    hashes = {image.hash for image in known}
    found = []
    for sample in samples:
        try:
            if fingerprint(sample.source) not in hashes:
                found.append(sample)
        except DataError as error:
            skipped.append(Skipped(sample.name, str(error)))
    return found


def _may_be_good(sample: Sample) -> bool:
    return sample.good or sample.label is None
