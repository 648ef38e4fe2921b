"""The end of the decoder's graph: from low-resolution logits to masks of the size of the image.

Up to the square, cut to the image, then to its size, each bilinear, as published. The sizes are
values of the graph, so these nodes are written by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def append_tail(model: onnx.ModelProto, side: int, extra: bool = False) -> onnx.ModelProto:
    """Add the input ``orig_im_size`` (h, w) and the output ``masks``, the first one.

    With ``extra`` also ``stability_scores`` and ``areas`` of the full masks. Where the size is
    (0, 0), nothing of it is computed and these outputs are empty.
    """
    graph, tail = model.graph, _Tail()
    kinds = {"masks": TensorProto.FLOAT}
    if extra:
        kinds |= {"stability_scores": TensorProto.FLOAT, "areas": TensorProto.INT64}
    longest = tail.add("ReduceMax", "orig_im_size", keepdims=0)
    wanted = tail.add("Greater", longest, tail.number(0))
    branch = tail.add("Reshape", wanted, tail.ints(1))
    tail.nodes.append(
        helper.make_node(
            "If",
            [branch],
            list(kinds),
            then_branch=_drawing(side, extra, kinds),
            else_branch=_nothing(kinds),
        )
    )
    graph.input.append(helper.make_tensor_value_info("orig_im_size", TensorProto.FLOAT, [2]))
    axes = {"masks": ["n", "k", "h", "w"]}
    found = {output.name: output for output in graph.output}
    found |= {
        name: helper.make_tensor_value_info(name, kind, axes.get(name, ["n", "k"]))
        for name, kind in kinds.items()
    }
    order = ["masks", "iou_predictions", *list(kinds)[1:], "low_res_masks"]
    graph.node.extend(tail.nodes)
    graph.initializer.extend(tail.constants)
    del graph.output[:]
    graph.output.extend(found[name] for name in order)
    onnx.checker.check_model(model)
    return model


def _drawing(side: int, extra: bool, kinds: Mapping[str, int]) -> onnx.GraphProto:
    """The branch that draws the masks at the size of the image."""
    tail = _Tail("draw")
    inside = _size_inside(tail, "orig_im_size", side)
    nk = tail.add("Slice", tail.add("Shape", "low_res_masks"), tail.ints(0), tail.ints(2))
    square = _resized(tail, "low_res_masks", nk, tail.ints(side, side))
    cut = tail.add("Slice", square, tail.ints(0, 0), inside, tail.ints(2, 3))
    whole = tail.add("Cast", "orig_im_size", to=TensorProto.INT64)
    masks = _resized(tail, cut, nk, whole, name="drawn_masks")
    if extra:
        _measured(tail, masks)
    return _branch("draw", tail, kinds, "drawn_")


def _nothing(kinds: Mapping[str, int]) -> onnx.GraphProto:
    """The branch that answers empty arrays."""
    tail = _Tail("skip")
    for name, kind in kinds.items():
        shape = (0, 0, 0, 0) if name == "masks" else (0, 0)
        empty = np.zeros(shape, helper.tensor_dtype_to_np_dtype(kind))
        value = numpy_helper.from_array(empty)
        tail.nodes.append(helper.make_node("Constant", [], [f"no_{name}"], value=value))
    return _branch("skip", tail, kinds, "no_")


def _branch(name: str, tail: _Tail, kinds: Mapping[str, int], prefix: str) -> onnx.GraphProto:
    outputs = [helper.make_tensor_value_info(prefix + n, kind, None) for n, kind in kinds.items()]
    return helper.make_graph(tail.nodes, name, [], outputs, tail.constants)


def _size_inside(tail: _Tail, size: str, side: int) -> str:
    """Size of the image in the square, int64 (h, w); a side that would vanish keeps one pixel."""
    longest = tail.add("ReduceMax", size, keepdims=1)
    scaled = tail.add("Mul", tail.add("Div", tail.number(side), longest), size)
    rounded = tail.add("Floor", tail.add("Add", scaled, tail.number(0.5)))
    return tail.add("Cast", tail.add("Max", rounded, tail.number(1)), to=TensorProto.INT64)


def _resized(tail: _Tail, maps: str, nk: str, hw: str, name: str = "") -> str:
    sizes = tail.add("Concat", nk, hw, axis=0)
    return tail.add(
        "Resize",
        maps,
        "",
        "",
        sizes,
        name=name,
        mode="linear",
        coordinate_transformation_mode="half_pixel",
    )


def _measured(tail: _Tail, masks: str) -> None:
    """Stability at one logit and areas, over height and width."""
    counts = []
    for threshold in (1.0, -1.0, 0.0):
        above = tail.add("Greater", masks, tail.number(threshold))
        whole = tail.add("Cast", above, to=TensorProto.INT64)
        name = "drawn_areas" if not threshold else ""
        counts.append(tail.add("ReduceSum", whole, tail.ints(2, 3), keepdims=0, name=name))
    inner, outer = (tail.add("Cast", count, to=TensorProto.FLOAT) for count in counts[:2])
    tail.add("Div", inner, outer, name="drawn_stability_scores")


class _Tail:
    """Nodes and constants as they are written down."""

    def __init__(self, prefix: str = "tail") -> None:
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """One node; the name of its output."""
        name = name or f"{self.prefix}_{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def ints(self, *values: int) -> str:
        """A constant int64 (n,)."""
        return self._constant(np.array(values, np.int64))

    def number(self, value: float) -> str:
        """A constant float32 (1,)."""
        return self._constant(np.array([value], np.float32))

    def _constant(self, values: np.ndarray[Any, Any]) -> str:
        name = f"{self.prefix}_constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name
