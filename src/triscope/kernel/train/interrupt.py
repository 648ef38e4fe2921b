"""Ctrl-C that lets a training finish its step."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def interruptible(alone: bool) -> Iterator[list[bool]]:
    """A list that is filled on Ctrl-C, so that a step is finished first; twice stops at once."""
    asked: list[bool] = []
    if not alone or threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.getsignal(signal.SIGINT)

    def ask(_signal: int, _frame: object) -> None:
        asked.append(True)
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


def how_to_go_on(folder: Path | None, step: int, steps: int) -> str:
    """What somebody who stopped a training is told."""
    at = f"stopped at step {step} of {steps}"
    if folder is None:
        return f"{at}; nothing was kept. Give a folder to be able to go on."
    return f"{at}; start the same training again with the folder {folder} to go on from there."
