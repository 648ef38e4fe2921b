"""What a data set is made of: samples with labels, and the set that keeps its splits apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

GOOD = "good"
Split = Literal["train", "calibrate", "test"]
Source = str | Path | NDArray[np.generic]


@runtime_checkable
class Drawn(Protocol):
    """A mask kept small: run lengths or polygons, drawn when it is needed."""

    def decode(self) -> NDArray[np.bool_]:
        """The mask, bool (h, w)."""


MaskSource = Source | Drawn


@dataclass(frozen=True, eq=False)
class BoxLabel:
    """One labelled box: xyxy in pixels, end-exclusive; ``mask`` is its outline where one is known.

    ``difficult`` marks what is not to be counted as missed (VOC's difficult, COCO's iscrowd).
    """

    label: str
    box: tuple[float, float, float, float]
    mask: MaskSource | None = None
    difficult: bool = False


@dataclass(frozen=True, eq=False)
class Sample:
    """One capture with what is known of it.

    ``source`` is a path, an address or an array (h, w[, 3]); ``label`` is ``"good"``, a defect
    type, or None where nobody said; ``mask`` is a path, a bool array (h, w) or something that
    draws one, None where the image is good or has none; ``split`` is None where the layout does
    not say. ``group`` names what must stay in one split (a part, a person, a video);
    ``reference`` is an aligned picture of the good part.
    """

    source: Source
    name: str
    label: str | None = None
    mask: MaskSource | None = None
    boxes: tuple[BoxLabel, ...] = ()
    split: Split | None = None
    group: str | None = None
    reference: Source | None = None

    @property
    def good(self) -> bool:
        """True where the sample is labelled good."""
        return self.label == GOOD


@dataclass(frozen=True, eq=False)
class Dataset(Sequence[Sample]):
    """Samples in a fixed order, where they came from, and the problems met on the way.

    ``classes`` are the labels of defects (or boxes) in their fixed order, without ``"good"``.
    """

    samples: tuple[Sample, ...]
    root: str = ""
    layout: str = "list"
    classes: tuple[str, ...] = ()
    problems: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return replace(self, samples=self.samples[index])
        return self.samples[index]

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    def __repr__(self) -> str:
        return f"<Dataset {self.layout}: {len(self)} samples of {self.root or 'memory'}>"

    def where(self, keep: Callable[[Sample], bool]) -> Dataset:
        """The samples for which ``keep(sample)`` is true."""
        return replace(self, samples=tuple(s for s in self.samples if keep(s)))

    def split(self, name: Split) -> Dataset:
        """The samples of one split."""
        return self.where(lambda sample: sample.split == name)

    @property
    def labelled(self) -> bool:
        """True where somebody said of at least one sample whether it is good."""
        return any(sample.label is not None for sample in self.samples)

    def good(self) -> Dataset:
        """The samples labelled good; all of them where nobody labelled any (a plain folder)."""
        return self.where(lambda sample: sample.good) if self.labelled else self
