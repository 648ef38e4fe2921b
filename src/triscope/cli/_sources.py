"""From the words of the command line to captures: files, folders, globs, ``-`` for stdin."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from triscope.errors import TriscopeError

STDIN = "-"


@dataclass
class Captures:
    """What is to be inspected: ``total`` is None where it is not known in advance."""

    samples: Iterable[Any]
    total: int | None
    unusable: list[Any] = field(default_factory=list)  # whole sources, as Skipped


def captures_of(check: Any, sources: tuple[str, ...], split: str | None = None) -> Captures:
    """The captures behind the sources, in their order.

    A source that cannot be opened is listed as unusable while another one can; if none can, its
    error is raised.
    """
    from triscope.kernel.results import Skipped

    if STDIN in sources:
        if len(sources) > 1:
            raise click.UsageError("give either '-' (paths on stdin, a line each) or sources.")
        return Captures(_from_stdin(), None)
    samples: list[Any] = []
    unusable: list[Any] = []
    first: TriscopeError | None = None
    for source in sources:
        try:
            data = check.captures(source)
        except TriscopeError as error:
            first = first or error
            unusable.append(Skipped(source, str(error)))
            continue
        samples += [_named(sample) for sample in (data.split(split) if split else data)]
    if not samples:
        if first is not None:
            raise first
        raise click.UsageError(f"no capture of the split {split!r} in {', '.join(sources)}.")
    return Captures(samples, len(samples), unusable)


class Remembered:
    """Hands samples on and remembers them until their answers have come, in the same order."""

    def __init__(self, samples: Iterable[Any]) -> None:
        self._samples = samples
        self._waiting: deque[Any] = deque()

    def __iter__(self) -> Iterator[Any]:
        for sample in self._samples:
            self._waiting.append(sample)
            yield sample

    def next(self) -> Any:
        """The sample of the answer that has just come."""
        return self._waiting.popleft()


def _named(sample: Any) -> Any:
    """The sample under the path that opens it, so that an answer can be traced to its file."""
    if not isinstance(sample.source, str | Path):
        return sample
    return replace(sample, name=str(sample.source))


def _from_stdin() -> Iterator[Any]:
    from triscope.kernel.data import Sample

    for line in sys.stdin:
        name = line.rstrip("\r\n")
        if name.strip():
            yield Sample(name, name)
