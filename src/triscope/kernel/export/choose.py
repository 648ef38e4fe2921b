"""ONNX Runtime or OpenVINO: whichever answers this graph sooner on this machine."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from triscope.errors import CheckError
from triscope.kernel.runtime.card import Card
from triscope.kernel.runtime.engine import (
    MAIN,
    Arrays,
    Engine,
    OnnxEngine,
    OpenVinoEngine,
    openvino_installed,
)
from triscope.kernel.runtime.golden import gaps
from triscope.kernel.runtime.opening import open_engines

ENOUGH_S = 0.5
FASTER = 0.9  # OpenVINO must take less than this share of ONNX Runtime's time


def choose_engine(
    folder: Path, card: Card, example: Arrays, wish: str = "auto"
) -> tuple[str, dict[str, Engine], dict[str, float]]:
    """The engine's name, its opened graphs, and milliseconds for one input of each one tried.

    OpenVINO is tried where it is installed, and taken where it is faster and answers the same.
    ``wish`` names an engine to take without a race.
    """
    names = [OnnxEngine.name]
    if openvino_installed():
        names.append(OpenVinoEngine.name)
    if wish not in ("auto", *names):
        raise CheckError(f"no engine {wish!r} here: expected auto, {' or '.join(names)}.")
    opened: dict[str, dict[str, Engine]] = {}
    for name in names if wish == "auto" else [wish]:
        try:
            opened[name] = open_engines(folder, card.with_(engine=name))
        except CheckError:
            if name != OpenVinoEngine.name or wish != "auto":
                raise  # a graph that only OpenVINO cannot hold is no fault
    times = {name: _milliseconds(engines[MAIN], example) for name, engines in opened.items()}
    best = next(iter(opened))
    if times.get(OpenVinoEngine.name, float("inf")) < FASTER * times[best]:
        sides = [opened[name][MAIN].run(example) for name in (OpenVinoEngine.name, best)]
        if max(gaps(*sides).values()) <= card.tolerance:
            best = OpenVinoEngine.name
    return best, opened[best], {name: round(value, 3) for name, value in times.items()}


def _milliseconds(engine: Engine, example: Arrays) -> float:
    """The median time of one input, after a warm-up."""
    engine.run(example)
    times: list[float] = []
    began = perf_counter()
    while len(times) < 3 or perf_counter() - began < ENOUGH_S:
        start = perf_counter()
        engine.run(example)
        times.append(perf_counter() - start)
    return 1000 * sorted(times)[len(times) // 2]
