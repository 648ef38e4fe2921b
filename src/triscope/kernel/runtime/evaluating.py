"""Measuring a check on labelled captures that it has not met. No torch.

Images that taught or calibrated the check are never counted as a test: they are left out, and the
evaluation says how many.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from triscope.errors import DataError, EmptyData, LeakedData
from triscope.kernel.data import Dataset, Sample, fingerprint, mask_of
from triscope.kernel.metrics import Case, Evaluation
from triscope.kernel.metrics import evaluate as measure
from triscope.kernel.protocols import Progress
from triscope.kernel.results import Skipped
from triscope.kernel.runtime.check import Check
from triscope.kernel.runtime.reading import Examiner, Reading

MET = ("train", "calibrate")


def evaluate(
    check: Check,
    data: Any,
    *,
    exact: bool = False,
    draws: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> Evaluation:
    """See :meth:`Check.evaluate`."""
    samples, left_out = to_measure(check, check.captures(data))
    options: dict[str, Any] = {
        "exact": exact,
        "draws": draws,
        "confidence": confidence,
        "seed": seed,
    }
    examiner = check.examiner()
    cases = _cases(check, samples, examiner, workers, progress)
    found = measure(cases, zones=check.card.zones, **options)
    if not sum(found.images.values()):
        raise EmptyData(f"none of the {len(samples)} labelled captures could be read.")
    known = examiner.result() if examiner else None
    return replace(found, known=known, notes=(*found.notes, *left_out))


def to_measure(check: Check, data: Dataset) -> tuple[list[Sample], list[str]]:
    """The labelled samples of the test split, or of data without splits; and what was left out.

    Raises EmptyData where nothing is labelled, LeakedData where the check has met everything.
    """
    pool = data.split("test") or data.where(lambda sample: sample.split is None)
    labelled = [sample for sample in pool if check.knows(sample)]
    if not labelled:
        raise EmptyData(
            f"{data.root or 'the data'} holds no labelled image to measure with ({len(pool)} "
            "without a label). Put good parts into good/ and defective ones into a folder named "
            "after the defect."
        )
    met = {image.hash for role in MET for image in check.seen.of(role)}  # type: ignore[arg-type]
    fresh = [sample for sample in labelled if _hash(sample) not in met]
    if not fresh:
        raise LeakedData(
            f"{check.label} was fitted or calibrated on all {len(labelled)} labelled images of "
            f"{data.root or 'the data'}: they tell nothing about new parts. Give others."
        )
    notes = []
    if len(fresh) < len(labelled):
        notes.append(
            f"{len(labelled) - len(fresh)} images were left out, since the check was fitted or "
            "calibrated on them."
        )
    if len(labelled) < len(pool):
        notes.append(f"{len(pool) - len(labelled)} images without a label were left out.")
    return fresh, notes


def _cases(
    check: Check,
    samples: list[Sample],
    examiner: Examiner | None,
    workers: int,
    progress: Progress | None,
) -> Iterator[Case]:
    for done, (sample, reading) in enumerate(check.readings(samples, workers=workers), start=1):
        if progress is not None:
            progress("evaluate", done, len(samples))
        try:
            case = _case(sample, reading, check.truth(sample, reading))
            if examiner is not None:
                examiner.take(sample, reading)
            yield case
        except DataError as error:  # a mask that cannot be read, or of another size
            check.skipped.append(Skipped(sample.name, str(error)))


def _case(sample: Sample, reading: Reading, truth: str) -> Case:
    heat = reading.heatmap
    if heat is None:
        return Case(sample.name, truth, reading.score)
    mask = None
    if sample.mask is not None and not sample.good:
        mask = mask_of(sample.mask, heat.image_size, f"the mask of {sample.name}")
    return Case(sample.name, truth, heat, mask)


def _hash(sample: Sample) -> str | None:
    """The fingerprint; None where the file cannot be read, which the reading will tell."""
    try:
        return fingerprint(sample.source)
    except DataError:
        return None
