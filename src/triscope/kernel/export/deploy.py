"""The verb ``export``: a check for another machine, as it is or in int8, with its proof."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from triscope.errors import DataError, UsageError, needs_extra
from triscope.kernel.export.changes import changes
from triscope.kernel.export.choose import choose_engine
from triscope.kernel.export.fitted import WEIGHTS
from triscope.kernel.export.int8 import quantise
from triscope.kernel.export.proof import prove
from triscope.kernel.protocols import Progress
from triscope.kernel.runtime.calibrating import calibrate_again
from triscope.kernel.runtime.card import write_card
from triscope.kernel.runtime.check import Check
from triscope.kernel.runtime.engine import (
    MAIN,
    Arrays,
    OnnxEngine,
    OpenVinoEngine,
    openvino_installed,
)
from triscope.kernel.runtime.folder import replacing
from triscope.kernel.runtime.golden import read_golden, write_golden
from triscope.kernel.runtime.opening import check_class
from triscope.kernel.runtime.regression import copy_regression
from triscope.kernel.runtime.saving import files_of, hashes

HALVES = 0.05  # tolerance of the golden answer in bf16: processors without it answer in f32
RANGES_FROM = 32  # good images whose activations give the ranges of int8


def export(
    check: Check,
    folder: str | Path,
    *,
    int8: bool = False,
    bf16: bool = False,
    engine: str = "auto",
    weights: bool = True,
    data: Any = None,
    progress: Progress | None = None,
) -> Check:
    """Write a check for the line into another folder; the check that is there now.

    ``int8`` quantises the graphs, ``bf16`` lets OpenVINO compute in half floats where the processor
    can; the thresholds are then chosen again by the same promise, on the captures that were held
    out. ``engine`` is auto (the faster one here), onnxruntime or openvino. Without ``weights`` the
    folder is smaller, but cannot learn. ``data`` with labels adds the change of AUROC and AUPRO to
    the proof.
    """
    if bf16:
        engine = _engine_of_halves(int8, engine)
    with replacing(Path(folder)) as fresh:
        card = files_of(check).write(fresh, check)
        inputs: dict[str, list[Arrays]] = {}
        inputs |= {name: [arrays] for name, arrays in read_golden(fresh)[0].items()}
        proof = dict(card.proof)
        if int8:
            inputs[MAIN] = _good_inputs(check) or inputs[MAIN]
            counts = {
                name: quantise(fresh / f"{name}.onnx", arrays) for name, arrays in inputs.items()
            }
            proof["int8"] = {"nodes": counts, "images": len(inputs[MAIN])}
            card = card.with_(precision="int8")
        elif bf16:
            proof["bf16"] = {}
            card = card.with_(precision="bf16", tolerance=max(card.tolerance, HALVES))
        name, engines, times = choose_engine(fresh, card, inputs[MAIN][0], engine)
        card = card.with_(engine=name)
        made = check_class(card.answers)(card, engines, check.seen)
        made.held = check.held
        if int8 or bf16:
            proof[card.precision]["calibrated"] = calibrate_again(made, progress)
        proof |= _compared(check, made, inputs, data, progress)
        write_golden(fresh, engines, {key: arrays[0] for key, arrays in inputs.items()})
        if not weights:
            (fresh / WEIGHTS).unlink(missing_ok=True)
        copy_regression(check.seen, [check.folder or fresh], fresh)
        check.seen.write(fresh)
        made.card = made.card.with_(proof={**proof, "milliseconds": times}, files=hashes(fresh))
        write_card(made.card, fresh)
    made.folder = Path(folder)
    return made


def _engine_of_halves(int8: bool, engine: str) -> str:
    """Half floats are OpenVINO's; refuses what cannot be had together."""
    if int8 or engine == OnnxEngine.name:
        other = "int8" if int8 else f"engine={engine!r}"
        raise UsageError(f"bf16 and {other} exclude each other: leave one of them out.")
    if not openvino_installed():
        raise needs_extra("bf16", "openvino", "openvino")
    return OpenVinoEngine.name


def _compared(
    before: Check,
    after: Check,
    inputs: dict[str, list[Arrays]],
    data: Any,
    progress: Progress | None,
) -> dict[str, Any]:
    """The exported check beside the one that it was made from."""
    proof: dict[str, Any] = {"from": {"precision": before.card.precision, "check": before.label}}
    proof["from"] |= prove(before.engines, after.engines, inputs)
    if data is not None:
        proof["change"] = changes(before, after, before.captures(data), progress=progress)
    return proof


def _good_inputs(check: Check) -> list[Arrays]:
    """Good captures as the main graph gets them, one row each."""
    samples = [*check.seen.samples("train"), *check.seen.samples("calibrate")]
    step = max(1, len(samples) // RANGES_FROM)
    found: list[Arrays] = []
    for sample in samples[::step][:RANGES_FROM]:
        try:
            inputs = check.prepare(sample).inputs
        except DataError:
            continue
        found.append({name: array[:1] for name, array in inputs.items()})
    return found
