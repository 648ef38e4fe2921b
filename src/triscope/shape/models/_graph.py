"""The feature networks as an ONNX graph for images of any size (sides that are multiples of 16).

Written node by node: ONNX has TensorFlow's borders as ``auto_pad="SAME_UPPER"``. The exporter of
torch finds the same graph, but takes minutes to reason about the free sides of the U-Net.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from triscope.errors import TriscopeError, needs_extra
from triscope.shape.models._features import UNetDS2GN, UniNetDS2
from triscope.shape.models._layers import Same2d, SameTransposed2d
from triscope.shape.recurrent import GRAPH

OPSET, IR = 18, 9
IMAGES = "images"


def write_features(network: nn.Module, path: Path) -> None:
    """Write the graph of a feature network, its weights in float32."""
    try:
        import onnx
    except ImportError as error:
        raise needs_extra("exporting", "train", "onnx") from error
    writer = _Writer()
    if isinstance(network, UNetDS2GN):
        last = _unet(writer, network)
    elif isinstance(network, UniNetDS2):
        last = writer.chain(list(network), IMAGES)
    else:
        raise TriscopeError(f"{type(network).__name__} has no ONNX form: keep it in PyTorch.")
    writer.add("Identity", [last], name=GRAPH)
    free = ["batch", "rows", "columns"]
    make, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        writer.nodes, GRAPH, [make(IMAGES, kind, [free[0], 3, *free[1:]])],
        [make(GRAPH, kind, [free[0], 32, "rows_4", "columns_4"])], writer.tensors,
    )  # fmt: skip
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=IR
    )
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _unet(writer: _Writer, net: nn.Module) -> str:
    """The levels in the order of ``UNetDS2GN.forward``."""

    def layer(name: str, x: str) -> str:
        return writer.chain([net.get_submodule(name)], x)

    x, skips = IMAGES, []
    for level in range(5):
        if level:
            x = layer(f"conv{level}_0", x)
        skips.append(layer(f"conv{level}_2", layer(f"conv{level}_1", x)))
    y = skips.pop()
    for level in (5, 6, 7, 8):
        both = writer.add("Concat", [layer(f"conv{level}_0", y), skips.pop()], axis=1)
        y = layer(f"conv{level}_2", layer(f"conv{level}_1", both))
    for name in ("conv9_0", "conv9_1", "conv9_2", "conv10_0", "conv10_1", "conv10_2"):
        y = layer(name, y)
    return y


class _Writer:
    """Nodes and tensors, numbered as they come."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []

    def add(self, operator: str, inputs: list[str], name: str = "", **attributes: Any) -> str:
        """One node; the name of its output."""
        from onnx import helper

        name = name or f"x{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def keep(self, values: Any) -> str:
        """One stored tensor; its name."""
        from onnx import numpy_helper

        array = values.detach().cpu().float().numpy() if isinstance(values, Tensor) else values
        name = f"t{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def chain(self, layers: list[nn.Module], x: str) -> str:
        """Layers one after the other."""
        for layer in layers:
            x = self._layer(layer, x)
        return x

    def _layer(self, layer: nn.Module, x: str) -> str:
        if isinstance(layer, nn.Sequential):
            return self.chain(list(layer), x)
        if isinstance(layer, Same2d):
            inputs = [x, self.keep(layer.weight)]
            inputs += [self.keep(layer.bias)] if layer.bias is not None else []
            return self.add("Conv", inputs, auto_pad="SAME_UPPER", strides=list(layer.stride),
                            kernel_shape=list(layer.kernel_size))  # fmt: skip
        if isinstance(layer, SameTransposed2d):
            return self._doubled(layer, x)
        if isinstance(layer, nn.GroupNorm):
            return self._group_norm(layer, x)
        if isinstance(layer, nn.BatchNorm2d):
            tensors = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
            inputs = [x, *(self.keep(one) for one in tensors)]
            return self.add("BatchNormalization", inputs, epsilon=layer.eps)
        if isinstance(layer, nn.ReLU):
            return self.add("Relu", [x])
        raise TriscopeError(f"{type(layer).__name__} has no ONNX form here.")

    def _doubled(self, layer: SameTransposed2d, x: str) -> str:
        """A transposed convolution as one whose channels are the four pixels of a doubled map.

        ONNX Runtime unrolls the transposed one: nine numbers for each that comes in.
        """
        weight = layer.weight.detach()  # (before, after, 3, 3)
        before, after = weight.shape[:2]
        made = weight.new_zeros((after, 2, 2, before, 2, 2))  # even or odd row, column; taps
        taps = (((0, 2), (1, 0)), ((1, 1),))  # (place, which of three) of even and of odd pixels
        for a, b in ((0, 0), (0, 1), (1, 0), (1, 1)):
            for i, row in taps[a]:
                for j, column in taps[b]:
                    made[:, a, b, :, i, j] = weight[:, :, row, column].T
        kernel = self.keep(made.reshape(4 * after, before, 2, 2))
        four = self.add("Conv", [x, kernel], kernel_shape=[2, 2], pads=[1, 1, 0, 0])
        return self.add("DepthToSpace", [four], blocksize=2, mode="CRD")

    def _group_norm(self, layer: nn.GroupNorm, x: str) -> str:
        """Each group as one channel of an instance norm, then scale and bias a channel."""
        groups = layer.num_groups
        flat = self.add("Reshape", [x, self.keep(np.array([0, groups, -1], np.int64))])
        ones, zeros = np.ones(groups, np.float32), np.zeros(groups, np.float32)
        inputs = [flat, self.keep(ones), self.keep(zeros)]
        unit = self.add("InstanceNormalization", inputs, epsilon=layer.eps)
        back = self.add("Reshape", [unit, self.add("Shape", [x])])
        scaled = self.add("Mul", [back, self.keep(layer.weight[:, None, None])])
        return self.add("Add", [scaled, self.keep(layer.bias[:, None, None])])
