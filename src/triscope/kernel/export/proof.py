"""How far the exported graph is from the library, in numbers that go into the card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from triscope.kernel.runtime.engine import Arrays, Engine
from triscope.kernel.runtime.golden import difference


def prove(
    library: Mapping[str, Engine],
    exported: Mapping[str, Engine],
    inputs: Mapping[str, Sequence[Arrays]],
) -> dict[str, Any]:
    """Largest differences of each output over all inputs.

    ``relative`` is the largest of all, each relative to the largest value of its output;
    ``absolute`` has one value an output, ``inputs`` says on how many they were measured.
    """
    absolute: dict[str, float] = {}
    worst = 0.0
    for graph, arrays in inputs.items():
        for one in arrays:
            expected, found = library[graph].run(one), exported[graph].run(one)
            for name, array in expected.items():
                worst = max(worst, difference(found[name], array))
                key = f"{graph}.{name}"
                absolute[key] = max(absolute.get(key, 0.0), _absolute(found[name], array))
    count = sum(len(arrays) for arrays in inputs.values())
    return {"relative": worst, "absolute": absolute, "inputs": count}


def _absolute(found: Any, expected: Any) -> float:
    if found.shape != expected.shape:
        return float("inf")
    if not expected.size:
        return 0.0
    return float(np.abs(found.astype(np.float64) - expected).max())
