"""Post-training quantisation to int8: weights by channel, activations by what good images show.

Convolutions are quantised; in graphs without any, matrix products with weights are. What compares
features (distances to a bank, sums of squares) stays in float: there a rounding is a wrong answer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from triscope.errors import EmptyData, TriscopeError, needs_extra
from triscope.kernel.export.onnx import quiet
from triscope.kernel.runtime.engine import Arrays


def quantise(path: Path, inputs: Sequence[Arrays]) -> int:
    """Replace a graph by its int8 form; how many nodes were quantised.

    ``inputs`` are named arrays of good captures, one row each: the ranges of the activations are
    taken from them.
    """
    try:
        import onnx
        from onnxruntime import quantization
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise needs_extra("int8", "train", "onnx") from error
    if not inputs:
        raise EmptyData("int8 needs good images to take ranges from, and none could be read.")
    nodes = _worth_it(onnx.load(path))
    with tempfile.TemporaryDirectory(dir=path.parent) as place:
        plain, small = Path(place) / "plain.onnx", Path(place) / "small.onnx"
        try:
            with quiet():
                quant_pre_process(str(path), str(plain), skip_symbolic_shape=True)
                quantization.quantize_static(
                    str(plain),
                    str(small),
                    _Feed(inputs),
                    quant_format=quantization.QuantFormat.QDQ,
                    per_channel=True,
                    activation_type=quantization.QuantType.QUInt8,
                    weight_type=quantization.QuantType.QInt8,
                    op_types_to_quantize=[nodes],
                    calibrate_method=quantization.CalibrationMethod.MinMax,
                    extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
                )
        except OSError:
            raise
        except Exception as error:  # the quantiser has its own kinds for each of its stages
            raise TriscopeError(f"{path.name} could not be quantised: {error}") from error
        count = sum(node.op_type == nodes for node in onnx.load(small).graph.node)
        small.replace(path)
    return count


def _worth_it(graph: Any) -> str:
    """The kind of node that holds the work of this graph."""
    kinds = [node.op_type for node in graph.graph.node]
    for kind in ("Conv", "Gemm", "MatMul"):
        if kind in kinds:
            return kind
    raise TriscopeError(
        f"this graph has no convolution and no matrix product ({len(kinds)} nodes): int8 would "
        "gain nothing. Export it without int8."
    )


class _Feed:
    """The inputs one after the other, as the quantiser asks for them."""

    def __init__(self, inputs: Sequence[Arrays]) -> None:
        self._inputs: Iterator[Arrays] = iter(inputs)

    def get_next(self) -> dict[str, Any] | None:
        """The next inputs, or None after the last."""
        found = next(self._inputs, None)
        return None if found is None else {k: np.ascontiguousarray(v) for k, v in found.items()}

    def __len__(self) -> int:
        return len(list(self._inputs))
