"""``golden.npz``: an input and its answer, computed again each time a folder is opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from triscope.errors import CheckDamaged
from triscope.kernel.runtime.engine import Engine, Floats

GOLDEN = "golden.npz"


def write_golden(folder: Path, engine: Engine, images: Floats) -> None:
    """Store one input (1, 3, h, w), as half floats, and the answer of this engine to it."""
    stored = images[:1].astype(np.float16)
    heat, score = engine.run(stored.astype(np.float32))
    np.savez_compressed(folder / GOLDEN, images=stored, heat=heat.astype(np.float32), score=score)


def verify_golden(folder: Path, engine: Engine, tolerance: float) -> None:
    """Run the golden input; raises CheckDamaged where the answer differs.

    ``tolerance`` is relative to the largest stored value.
    """
    with np.load(folder / GOLDEN, allow_pickle=False) as golden:
        heat, score = engine.run(golden["images"].astype(np.float32))
        gap = max(difference(heat, golden["heat"]), difference(score, golden["score"]))
    if not gap <= tolerance:
        raise CheckDamaged(
            f"{folder} answers its golden input with a difference of {gap:.2g} (allowed: "
            f"{tolerance:.2g}). The graph or the engine does not compute what was proven at "
            "export: export the check again on this machine."
        )


def difference(found: Floats, expected: Floats) -> float:
    """Largest absolute difference, relative to the largest expected value."""
    largest = float(np.abs(expected).max()) or 1.0
    return float(np.abs(found.astype(np.float64) - expected).max()) / largest
