"""What all tests share: shapes checked in signatures, real data, one thread of torch."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outside import parity, real_data

__all__ = ["parity", "real_data"]

# Before torch is imported: two tests at a time on two cores are fastest with one thread each.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TRISCOPE_THREADS", "1")

try:
    from jaxtyping import install_import_hook
except ImportError:  # the runtime install has no torch and no jaxtyping
    SHAPES = None
else:
    SHAPES = None
    if os.environ.get("TRISCOPE_SHAPES", "1") == "1":
        SHAPES = install_import_hook(
            [
                "triscope.kernel.nn",
                "triscope.surface.models",
                "triscope.segment.models",
                "triscope.shape.models",
                "triscope.motion.models",
            ],
            "shape_checks.typechecked",
        )


@pytest.fixture(autouse=True)
def _own_weights_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the weights folder of the person who runs it."""
    before = os.environ.get("TRISCOPE_WEIGHTS")
    os.environ["TRISCOPE_WEIGHTS"] = str(tmp_path_factory.getbasetemp() / "weights")
    yield
    if before is None:
        os.environ.pop("TRISCOPE_WEIGHTS", None)
    else:
        os.environ["TRISCOPE_WEIGHTS"] = before


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Tests marked ``alone`` own signals or processes: beside xdist each runs in a fresh pytest.

    A worker of xdist may run its tests beside the main thread, where Ctrl-C ends the worker.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ or not pyfuncitem.get_closest_marker("alone"):
        return None
    own = {key: v for key, v in os.environ.items() if not key.startswith("PYTEST_")}
    call = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", pyfuncitem.nodeid]
    done = subprocess.run(
        call, cwd=pyfuncitem.config.rootpath, env=own, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return True


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was opened, by its name."""
    from triscope.kernel.data import source

    counts: Counter[str] = Counter()
    own = source._opened

    def spy(place: str) -> Any:
        counts[Path(place).name] += 1
        return own(place)

    monkeypatch.setattr(source, "_opened", spy)
    return counts
