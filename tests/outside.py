"""Real data and stored answers that lie beside the repository; a test without them is skipped.

Tests import from here: ``conftest`` is the name of several files.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


def real_data(name: str) -> Path:
    """A folder of the real data; skips the test, with the reason, where it is not there."""
    root = Path(os.environ.get("TRISCOPE_DATA", SHARED / "data"))
    if not (root / name).exists():
        pytest.skip(f"real data {name!r} not found in {root} (set TRISCOPE_DATA)")
    return root / name


def parity(name: str) -> Path:
    """A folder or file of the stored answers; skips the test where it is not there."""
    path = SHARED / "parity" / name
    if not path.exists():
        pytest.skip(f"stored answers {name!r} not found in {path.parent}")
    return path
