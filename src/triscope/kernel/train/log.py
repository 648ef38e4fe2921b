"""The record of a training: one row of ``losses.csv`` a step, and TensorBoard where asked."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from triscope.errors import needs_extra

NAME = "losses.csv"


class Log:
    """Rows (step, learning_rate, losses...) after the first ``step`` ones, which stay."""

    def __init__(self, folder: Path, step: int, tensorboard: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / NAME
        _cut(self.path, step)
        self._file = self.path.open("a", newline="", encoding="utf-8", buffering=1)
        self._rows = csv.writer(self._file)
        self._empty = self.path.stat().st_size == 0
        self._board: Any = _board(folder) if tensorboard else None

    def add(self, step: int, rate: float, losses: Mapping[str, float]) -> None:
        """One row; the first one also writes the names."""
        if self._empty:
            self._rows.writerow(["step", "learning_rate", *losses])
            self._empty = False
        self._rows.writerow([step, repr(rate), *(repr(value) for value in losses.values())])
        if self._board is not None:
            for name, value in losses.items():
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._board is not None:
            self._board.close()


def _cut(path: Path, step: int) -> None:
    """Drop the rows after ``step``: they are written again by the training that goes on."""
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    kept = [row for row in rows[1:] if row and row[0].isdigit() and int(row[0]) <= step]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows[:1] + kept if kept else [])


def _board(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise needs_extra("tensorboard=yes", "logs", "tensorboard") from error
    return SummaryWriter(str(folder))


def keep_logs(work: Path, logs: Path) -> list[Path]:
    """Copy the records of a training, one folder a phase, before its work folder is removed."""
    found = sorted([*work.rglob(NAME), *work.rglob("events.out.tfevents.*")])
    kept = []
    for path in found:
        target = logs / path.relative_to(work)
        target.parent.mkdir(parents=True, exist_ok=True)
        kept.append(Path(shutil.copy2(path, target)))
    return kept
