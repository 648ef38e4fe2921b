"""Labels from masks: an empty mask means good."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace

from triscope.errors import DataError
from triscope.kernel.data.image import read_mask, size_of
from triscope.kernel.data.loading import Loaded, load
from triscope.kernel.data.problems import Problems
from triscope.kernel.data.sample import GOOD, Sample

DEFECT = "defect"
ANOTHER_SIZE = "masks of another size than their image were left out"


def judged(samples: Iterable[Sample], problems: Problems) -> list[Sample]:
    """The samples with their masks looked at: a label where there was none, unfit masks dropped."""
    done = []
    for item in load(samples, _look, workers=min(4, os.cpu_count() or 1)):
        assert isinstance(item, Loaded)
        sample, (label, fault) = item.sample, item.prepared
        if fault:
            problems.add(fault, sample.name)
            sample = replace(sample, mask=None)
        if sample.good or label == GOOD:
            sample = replace(sample, mask=None)
        done.append(replace(sample, label=sample.label or label))
    return done


def _look(sample: Sample) -> tuple[str | None, str]:
    """(label that the mask tells, fault of the mask)."""
    if sample.mask is None:
        return None, ""
    try:
        mask = read_mask(sample.mask)
        fits = mask.shape == size_of(sample.source)
    except DataError as error:
        return None, f"masks could not be read ({error})"
    label = DEFECT if mask.any() else GOOD
    return label, "" if fits else ANOTHER_SIZE
