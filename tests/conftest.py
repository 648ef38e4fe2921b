"""What all tests share: shapes checked in signatures, real data, one thread of torch."""

from __future__ import annotations

import os
from collections.abc import Iterator

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
