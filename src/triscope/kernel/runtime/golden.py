"""``golden.npz``: inputs and their answers, computed again each time a folder is opened."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from triscope.errors import CheckDamaged
from triscope.kernel.runtime.engine import Array, Arrays, Engine

GOLDEN = "golden.npz"


def write_golden(folder: Path, engines: Mapping[str, Engine], inputs: Mapping[str, Arrays]) -> None:
    """Store for each graph its named inputs and the answers of its engine to them.

    Inputs are stored as half floats where those can hold them; the answer is to what was stored.
    """
    stored: dict[str, Array] = {}
    for graph, arrays in inputs.items():
        small = {name: _halved(array) for name, array in arrays.items()}
        answer = engines[graph].run({name: _whole(array) for name, array in small.items()})
        stored |= {f"{graph}.in.{name}": array for name, array in small.items()}
        stored |= {f"{graph}.out.{name}": array for name, array in answer.items()}
    part = folder / f"{GOLDEN}.part"
    with part.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **stored)
    part.replace(folder / GOLDEN)  # never in place: the file may be shared with another version


def verify_golden(folder: Path, engines: Mapping[str, Engine], tolerance: float) -> None:
    """Run the golden inputs; raises CheckDamaged where an answer differs.

    ``tolerance`` is relative to the largest stored value of each output.
    """
    inputs, outputs = read_golden(folder)
    for graph, expected in outputs.items():
        if graph not in engines:
            raise CheckDamaged(f"{folder / GOLDEN} has an answer of {graph!r}, which is no graph.")
        found = engines[graph].run(inputs[graph])
        gap = gaps(found, expected)
        name = max(gap, key=lambda key: gap[key])
        if not gap[name] <= tolerance:
            raise CheckDamaged(
                f"{folder} answers its golden input with a difference of {gap[name]:.2g} in "
                f"{graph}.{name} (allowed: {tolerance:.2g}). The graph or the engine does not "
                "compute what was proven at export: export the check again on this machine."
            )


def read_golden(folder: Path) -> tuple[dict[str, dict[str, Array]], dict[str, dict[str, Array]]]:
    """The stored inputs and answers, by graph and name."""
    parts: dict[str, dict[str, dict[str, Array]]] = {"in": {}, "out": {}}
    try:
        with np.load(folder / GOLDEN, allow_pickle=False) as golden:
            for key in golden.files:
                graph, way, name = key.split(".", 2)
                array = _whole(golden[key]) if way == "in" else golden[key]
                parts[way].setdefault(graph, {})[name] = array
    except (OSError, ValueError, KeyError) as error:
        raise CheckDamaged(f"{folder / GOLDEN} cannot be read: {error}.") from error
    return parts["in"], parts["out"]


def gaps(found: Arrays, expected: Arrays) -> dict[str, float]:
    """The difference of each expected output; infinite where it is absent or of another shape."""
    missing = float("inf")
    return {
        name: difference(found[name], array) if name in found else missing
        for name, array in expected.items()
    }


def difference(found: Array, expected: Array) -> float:
    """Largest absolute difference, relative to the largest expected value."""
    if found.shape != expected.shape:
        return float("inf")
    if not expected.size:
        return 0.0
    largest = float(np.abs(expected).max()) or 1.0
    return float(np.abs(found.astype(np.float64) - expected).max()) / largest


def _halved(array: Array) -> Array:
    if array.dtype != np.float32:
        return array
    with np.errstate(over="ignore"):
        small = array.astype(np.float16)
    return small if bool(np.isfinite(small).all()) else array


def _whole(array: Array) -> Array:
    return array.astype(np.float32) if array.dtype == np.float16 else array
