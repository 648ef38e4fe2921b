"""What a data set is made of: samples with labels, and the set that keeps its splits apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

GOOD = "good"
Split = Literal["train", "calibrate", "test"]
Source = str | Path | NDArray[np.generic]


@dataclass(frozen=True, eq=False)
class BoxLabel:
    """One labelled box: xyxy in pixels, end-exclusive."""

    label: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Sample:
    """One capture with what is known of it.

    ``source`` is a path, an address or an array (h, w[, 3]); ``label`` is ``"good"``, a defect
    type, or None where nobody said; ``mask`` is a path or a bool array (h, w), None where the
    image is good or has none; ``split`` is None where the layout does not say.
    """

    source: Source
    name: str
    label: str | None = None
    mask: Source | None = None
    boxes: tuple[BoxLabel, ...] = ()
    split: Split | None = None

    @property
    def good(self) -> bool:
        """True where the sample is labelled good."""
        return self.label == GOOD


@dataclass(frozen=True, eq=False)
class Dataset(Sequence[Sample]):
    """Samples in a fixed order, where they came from, and the problems met on the way."""

    samples: tuple[Sample, ...]
    root: str = ""
    layout: str = "list"
    classes: tuple[str, ...] = ()
    problems: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if isinstance(index, slice):
            return replace(self, samples=self.samples[index])
        return self.samples[index]

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    def where(self, keep: Callable[[Sample], bool]) -> Dataset:
        """The samples for which ``keep(sample)`` is true."""
        return replace(self, samples=tuple(s for s in self.samples if keep(s)))

    def split(self, name: Split) -> Dataset:
        """The samples of one split."""
        return self.where(lambda sample: sample.split == name)

    def good(self) -> Dataset:
        """The samples labelled good."""
        return self.where(lambda sample: sample.good)
