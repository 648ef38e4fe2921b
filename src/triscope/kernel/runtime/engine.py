"""Engines run an exported graph: named arrays in, named arrays out. No torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from triscope.errors import CheckDamaged, UsageError, needs_extra

Array = NDArray[Any]
Arrays = Mapping[str, Array]
Floats = NDArray[np.float32]
MAIN = "model"  # the graph that every check has
THREADS = "TRISCOPE_THREADS"


class Engine(Protocol):
    """What a check asks of whoever computes: the exported graph, or the library's own module."""

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """The outputs of the graph by name; images are float32 (b, 3, h, w) in [0, 1]."""


class OnnxEngine:
    """ONNX Runtime on the CPU."""

    name = "onnxruntime"

    def __init__(self, path: Path, threads: int) -> None:
        self._path, self._threads = path, threads
        self._session, self._written = self._opened(), _written(path)
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """See :class:`Engine`."""
        return dict(zip(self._outputs, self._session.run(None, dict(inputs)), strict=True))

    def forget(self) -> None:
        """Give back what large inputs took: an arena never shrinks, so the graph is opened anew.

        Where another graph lies at its place by now, all stays as it is.
        """
        if _written(self._path) == self._written:
            self._session = None
            self._session = self._opened()

    def _opened(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # A plan of memory by the first size asks for all of it a second time, beside the arena.
        options.enable_mem_pattern = False
        try:
            return onnxruntime.InferenceSession(
                str(self._path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise CheckDamaged(f"{self._path} cannot be opened by ONNX Runtime: {error}") from error


def _written(path: Path) -> tuple[int, int] | None:
    """Size and time of a file; None where there is none any more."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


class OpenVinoEngine:
    """OpenVINO on the CPU; used where it is installed and was measured faster at export.

    ``numbers`` are f32, or bf16 where the processor computes with them (else they stay f32).
    """

    name = "openvino"

    def __init__(self, path: Path, threads: int, numbers: str = "f32") -> None:
        try:
            import openvino
        except ImportError as error:
            raise needs_extra("this engine", "openvino", "openvino") from error
        core = openvino.Core()
        options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": numbers}
        try:
            self._model = core.compile_model(str(path), "CPU", {**options, "NUM_STREAMS": 1})
        except Exception as error:
            raise CheckDamaged(f"{path} cannot be opened by OpenVINO: {error}") from error
        self._outputs = [output.get_any_name() for output in self._model.outputs]

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """See :class:`Engine`."""
        answer = self._model(dict(inputs))
        return {name: np.array(answer[i]) for i, name in enumerate(self._outputs)}


def default_threads() -> int:
    """Threads of one engine: ``TRISCOPE_THREADS``, else the cores this process may use."""
    wish = os.environ.get(THREADS, "").strip()
    if not wish:
        affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
        return len(affinity(0)) if affinity else os.cpu_count() or 1
    if not wish.isdigit() or not int(wish):
        raise UsageError(f"{THREADS}={wish!r}: expected a whole number, 1 or more.")
    return int(wish)


def open_engine(
    path: Path, name: str, threads: int | None = None, precision: str = "fp32"
) -> Engine:
    """The engine of that name on one graph; ONNX Runtime where OpenVINO is not installed."""
    threads = threads or default_threads()
    if name == OpenVinoEngine.name and openvino_installed():
        return OpenVinoEngine(path, threads, "bf16" if precision == "bf16" else "f32")
    return OnnxEngine(path, threads)


def openvino_installed() -> bool:
    """Whether OpenVINO can be imported, found without importing it."""
    from importlib.util import find_spec

    return find_spec("openvino") is not None
