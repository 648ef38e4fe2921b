"""From a module to ``NAME.onnx``: one file, free batch, nothing printed."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from torch import nn

from triscope.errors import TriscopeError, needs_extra
from triscope.kernel.protocols import Graph

OPSET = 18


def write_onnx(graph: Graph, path: Path, opset: int = OPSET) -> None:
    """Export one graph by torch.export; the axes named in ``free`` keep any size.

    Raises TriscopeError with the exporter's reason.
    """
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise needs_extra("exporting", "train", "onnxscript") from error
    shapes = tuple(
        dict.fromkeys(graph.free.get(name, {}), torch.export.Dim.DYNAMIC) for name in graph.example
    )
    try:
        with quiet(), _quick(graph.module), torch.no_grad():
            torch.onnx.export(
                graph.module.eval(),
                tuple(graph.example.values()),
                str(path),
                input_names=list(graph.example),
                output_names=list(graph.outputs),
                dynamic_shapes=shapes if graph.free else None,
                opset_version=opset,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except OSError:
        raise
    except Exception as error:  # the exporter has its own kinds for each of its stages
        raise TriscopeError(f"{path.stem} could not be exported as ONNX: {error}") from error


@contextlib.contextmanager
def _quick(module: nn.Module) -> Iterator[None]:
    """ReLU6 as a plain clamp: torch takes hardtanh apart op by op, 4 s for two MobileNets."""
    found = [part for part in module.modules() if isinstance(part, nn.ReLU6)]
    for part in found:
        part.__dict__["forward"] = partial(torch.clamp, min=0.0, max=6.0)
    try:
        yield
    finally:
        for part in found:
            part.__dict__.pop("forward", None)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The exporter prints, logs and warns about itself; what matters comes as an exception."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
