"""Units of length: told by somebody or noted beside a file, never guessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError

IN_MM = {"mm": 1.0, "cm": 10.0, "m": 1000.0}


def in_mm(points: NDArray[np.float64], unit: str) -> NDArray[np.float64]:
    """Lengths in millimetres; raises DataError where the unit is not known."""
    if unit not in IN_MM:
        raise DataError(
            f"the unit {unit!r} is not known: say mm, cm or m (--unit). It is never guessed: a "
            "part of 0.1 may be 0.1 mm or 0.1 m long."
        )
    return points * IN_MM[unit]


def noted(path: Path) -> str:
    """What ``unit.txt`` in the folder of a file says, or nothing."""
    beside = path.parent / "unit.txt"
    return beside.read_text(encoding="utf-8").strip() if beside.is_file() else ""


def unit_of(path: Path, said: str = "") -> str:
    """The unit of a file, as said or as noted; raises DataError where the two differ or none is."""
    beside = noted(path)
    if said and beside and said != beside:
        raise DataError(
            f"{path} is said to be in {said}, but {path.parent / 'unit.txt'} says {beside}."
        )
    if not said and not beside:
        raise DataError(
            f"the unit of {path} is not known: say mm, cm or m (--unit for a scan, "
            "--reference-unit for a reference), or write it into unit.txt beside it. It is never "
            "guessed."
        )
    return said or beside
