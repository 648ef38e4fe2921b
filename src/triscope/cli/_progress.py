"""Progress on stderr: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import Any, Protocol, TypeVar

import click

T = TypeVar("T")
QUIET_S = 2.0  # what is done sooner shows nothing in a log
LINE_EVERY_S = 10.0


class Progress(Protocol):
    """What long work calls: the stage's name, how much is done, of how much (None: unknown)."""

    def __call__(self, stage: str, done: int, total: int | None = None) -> None: ...


@contextlib.contextmanager
def progress() -> Iterator[Progress]:
    """A progress callback for the block; stages may follow one another."""
    if sys.stderr.isatty():
        with _bars() as bars:
            yield bars
    else:
        yield _Lines()


def counted(items: Iterable[T], stage: str, total: int | None, report: Progress) -> Iterator[T]:
    """The items as they are, counted while they pass."""
    for done, item in enumerate(items, start=1):
        yield item
        report(stage, done, total)


@contextlib.contextmanager
def _bars() -> Iterator[Progress]:
    from rich import progress as parts
    from rich.console import Console

    columns = (
        parts.TextColumn("{task.description}"),
        parts.BarColumn(),
        parts.MofNCompleteColumn(),
        parts.TimeElapsedColumn(),
        parts.TextColumn("left"),
        parts.TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    tasks: dict[str, Any] = {}
    with parts.Progress(*columns, console=console, transient=True) as bars:

        def report(stage: str, done: int, total: int | None = None) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield report


class _Lines:
    """Lines for logs: each stage that takes longer than two seconds, then one every ten."""

    def __init__(self) -> None:
        self.stage = ""
        self.due = 0.0

    def __call__(self, stage: str, done: int, total: int | None = None) -> None:
        now = monotonic()
        if stage != self.stage:
            self.stage, self.due = stage, now + QUIET_S
        if now >= self.due:
            self.due = now + LINE_EVERY_S
            click.echo(f"{stage}: {done}{f' of {total}' if total else ''}", err=True)
