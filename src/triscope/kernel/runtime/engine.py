"""Engines run the exported graph: images in, heat maps and scores out. No torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from triscope.errors import CheckDamaged, needs_extra

Floats = NDArray[np.float32]
GRAPH = "model.onnx"


class Engine(Protocol):
    """What a check asks of whoever computes: the exported graph, or the library's own module."""

    def run(self, images: Floats) -> tuple[Floats, Floats]:
        """Images float32 (b, 3, h, w) in [0, 1] -> heat (b, h, w), score (b,)."""


class OnnxEngine:
    """ONNX Runtime on the CPU."""

    name = "onnxruntime"

    def __init__(self, path: Path, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise CheckDamaged(f"{path} cannot be opened by ONNX Runtime: {error}") from error

    def run(self, images: Floats) -> tuple[Floats, Floats]:
        """See :class:`Engine`."""
        heat, score = self._session.run(None, {"images": images})
        return heat, score


class OpenVinoEngine:
    """OpenVINO on the CPU; used where it is installed and was measured faster at export."""

    name = "openvino"

    def __init__(self, path: Path, threads: int) -> None:
        try:
            import openvino
        except ImportError as error:
            raise needs_extra("this engine", "openvino", "openvino") from error
        core = openvino.Core()
        options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
        self._model = core.compile_model(str(path), "CPU", {**options, "NUM_STREAMS": 1})

    def run(self, images: Floats) -> tuple[Floats, Floats]:
        """See :class:`Engine`."""
        answer = self._model([images])
        return np.array(answer[0]), np.array(answer[1])


def default_threads() -> int:
    """Threads of one engine: ``TRISCOPE_THREADS``, else the cores this process may use."""
    wish = os.environ.get("TRISCOPE_THREADS", "")
    return int(wish) if wish.isdigit() and int(wish) else len(os.sched_getaffinity(0))


def open_engine(folder: Path, name: str, threads: int | None = None) -> Engine:
    """The engine that the card asks for; ONNX Runtime where OpenVINO is not installed."""
    threads = threads or default_threads()
    if name == "openvino" and openvino_installed():
        return OpenVinoEngine(folder / GRAPH, threads)
    return OnnxEngine(folder / GRAPH, threads)


def openvino_installed() -> bool:
    """Whether OpenVINO can be imported, found without importing it."""
    from importlib.util import find_spec

    return find_spec("openvino") is not None
