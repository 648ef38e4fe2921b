"""Reading ahead: threads prepare the next samples while the last one is being used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

from triscope.errors import DataError
from triscope.kernel.data.sample import Sample
from triscope.kernel.results import Skipped


@dataclass(frozen=True, eq=False)
class Loaded:
    """A sample with what ``prepare`` made of it."""

    sample: Sample
    prepared: Any


def load(
    samples: Iterable[Sample], prepare: Callable[[Sample], Any], workers: int = 1
) -> Iterator[Loaded | Skipped]:
    """``prepare(sample)`` of each sample, in order, ``workers`` threads reading ahead.

    A sample that raises DataError (it cannot be read, its labels contradict it) comes as
    :class:`Skipped` and the rest goes on; other errors are raised. ``workers=0`` reads nothing
    ahead. At most ``2 * workers`` prepared samples wait.
    """
    if workers <= 0:
        for sample in samples:
            yield _prepared(sample, prepare)
        return
    queue: deque[Future[Loaded | Skipped]] = deque()
    walk = iter(samples)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="triscope-read")
    try:
        for sample in islice(walk, 2 * workers):
            queue.append(pool.submit(_prepared, sample, prepare))
        while queue:
            item = queue.popleft().result()
            for sample in islice(walk, 1):
                queue.append(pool.submit(_prepared, sample, prepare))
            yield item
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _prepared(sample: Sample, prepare: Callable[[Sample], Any]) -> Loaded | Skipped:
    try:
        return Loaded(sample, prepare(sample))
    except DataError as error:
        return Skipped(sample.name, str(error))
