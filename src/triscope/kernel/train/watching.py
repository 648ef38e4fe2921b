"""The loop of models that watch: one pass over the images, nothing but a batch is held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from triscope.kernel.data import Sample
from triscope.kernel.protocols import Progress
from triscope.kernel.results import Skipped
from triscope.kernel.runtime.image import ImageCheck
from triscope.kernel.runtime.seen import Seen
from triscope.kernel.train.images import prepared_images

AT_ONCE = 2  # what a backbone holds then stays near the cache: faster than 8, 160 MB less at 256


def watch(model: Any, rows: Iterable[tuple[Tensor, int]]) -> int:
    """Show inputs (3, h, w), each with the number of its image, then settle; how many there were.

    Without any, nothing is settled.
    """
    waiting: list[tuple[Tensor, int]] = []
    count = 0
    for row in rows:
        waiting.append(row)
        count += 1
        if len(waiting) == AT_ONCE:
            _show(model, waiting)
    if waiting:
        _show(model, waiting)
    if count:
        model.settle()
    return count


def numbered_rows(
    samples: Iterable[Sample],
    reader: ImageCheck,
    seen: Seen,
    skipped: list[Skipped],
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> Iterator[tuple[Tensor, int]]:
    """Each window of each readable image, with the number under which ``seen`` remembers it."""
    for sample, inputs in prepared_images(
        samples, reader, skipped, workers=workers, progress=progress, stage="watch"
    ):
        number = seen.add([sample], "train")[0].id
        for window in inputs:
            yield torch.from_numpy(window), number


def _show(model: Any, waiting: list[tuple[Tensor, int]]) -> None:
    images, numbers = zip(*waiting, strict=True)
    model.watch(torch.stack(images), torch.tensor(numbers, dtype=torch.int64))
    waiting.clear()
