"""Images for fitting: read once, brought to the model's input, kept while the memory lasts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from triscope.kernel.data import Sample, load
from triscope.kernel.protocols import Progress
from triscope.kernel.results import Skipped
from triscope.kernel.runtime.image import ImageCheck
from triscope.kernel.runtime.reading import Prepared

KEPT_BYTES = 1 << 30  # of prepared images, where the user sets no ceiling
PROGRAM_BYTES = 900_000_000  # of a ceiling: libraries, network and gradients


def kept_bytes(ceiling: int | None) -> int:
    """How much of what a fit may hold goes to prepared images."""
    return KEPT_BYTES if ceiling is None else max(0, ceiling - PROGRAM_BYTES)


@dataclass(frozen=True)
class Row:
    """One input of the network: a window of an image, or a whole one."""

    sample: Sample
    window: int


class Rows(Sequence[Tensor]):
    """The inputs that a set of images gives, float32 (3, h, w) each, loaded on access.

    All images are read once when the object is made: broken ones end in ``skipped``, and prepared
    ones are kept up to ``memory`` bytes. The others are read again on each access.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        check: ImageCheck,
        *,
        memory: int = KEPT_BYTES,
        workers: int = 1,
        progress: Progress | None = None,
    ) -> None:
        self.check = check
        self.rows: list[Row] = []
        self.samples: list[Sample] = []
        self.skipped: list[Skipped] = []
        self._kept: dict[int, np.ndarray] = {}
        left = memory
        for sample, inputs in prepared_images(
            samples, check, self.skipped, workers=workers, progress=progress
        ):
            if inputs.nbytes <= left:
                left -= inputs.nbytes
                self._kept |= {len(self.rows) + i: row for i, row in enumerate(inputs)}
            self.rows += [Row(sample, window) for window in range(len(inputs))]
            self.samples.append(sample)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if index not in self._kept:
            row = self.rows[index]
            return torch.from_numpy(self.check.prepare(row.sample).inputs["images"][row.window])
        return torch.from_numpy(self._kept[index])


def prepared_images(
    samples: Iterable[Sample],
    check: ImageCheck,
    skipped: list[Skipped],
    *,
    workers: int = 1,
    progress: Progress | None = None,
    stage: str = "read images",
) -> Iterator[tuple[Sample, np.ndarray]]:
    """Each readable image with its inputs float32 (rows, 3, h, w); the others go to ``skipped``."""
    total = len(samples) if isinstance(samples, Sequence) else None
    for done, item in enumerate(load(samples, check.prepare, workers=workers), start=1):
        if isinstance(item, Skipped):
            skipped.append(item)
        else:
            prepared: Prepared = item.prepared
            yield item.sample, prepared.inputs["images"]
        if progress is not None:
            progress(stage, done, total)
