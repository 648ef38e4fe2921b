"""Check folders whose graphs are a few ONNX nodes written by hand, so that answers are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from triscope.kernel.runtime.card import Card, write_card
from triscope.kernel.runtime.golden import write_golden
from triscope.kernel.runtime.opening import open_engines
from triscope.kernel.runtime.saving import hashes
from triscope.kernel.runtime.seen import Seen

SIZE = (32, 32)
FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64


def heat_nodes() -> tuple[list[Any], dict[str, Any], dict[str, tuple[int, list[Any]]]]:
    """The heat map is the mean of the channels, the score its highest value."""
    nodes = [
        helper.make_node("ReduceMean", ["images", "channel"], ["heat"], keepdims=0),
        helper.make_node("ReduceMax", ["heat", "places"], ["score"], keepdims=0),
    ]
    values = {"channel": np.array([1]), "places": np.array([1, 2])}
    return nodes, values, {"heat": (FLOAT, ["b", *SIZE]), "score": (FLOAT, ["b"])}


def box_nodes() -> tuple[list[Any], dict[str, Any], dict[str, tuple[int, list[Any]]]]:
    """Per image two boxes of classes 0 and 1, whose scores are its mean red and its mean green."""
    nodes = [
        helper.make_node("ReduceMean", ["images", "places"], ["means"], keepdims=0),
        helper.make_node("Slice", ["means", "zero", "two", "one"], ["pair"]),
        helper.make_node("Reshape", ["pair", "flat"], ["scores"]),
        helper.make_node("Shape", ["pair"], ["shape"]),
        helper.make_node("Slice", ["shape", "zero", "one", "zero"], ["batch"]),
        helper.make_node("Concat", ["batch", "one"], ["times"], axis=0),
        helper.make_node("Tile", ["two_boxes", "times"], ["boxes"]),
        helper.make_node("Tile", ["two_labels", "batch"], ["labels"]),
        helper.make_node("Squeeze", ["batch"], ["count"]),
        helper.make_node("Range", ["nought", "count", "step"], ["numbers"]),
        helper.make_node("Unsqueeze", ["numbers", "one"], ["column"]),
        helper.make_node("Tile", ["column", "one_two"], ["twice"]),
        helper.make_node("Reshape", ["twice", "flat"], ["rows"]),
    ]
    values = {
        "places": np.array([2, 3]),
        "zero": np.array([0]),
        "one": np.array([1]),
        "two": np.array([2]),
        "flat": np.array([-1]),
        "one_two": np.array([1, 2]),
        "nought": np.array(0),
        "step": np.array(1),
        "two_boxes": np.array([[2, 4, 10, 20], [16, 16, 32, 32]], np.float32),
        "two_labels": np.array([0, 1]),
    }
    outputs = {
        "boxes": (FLOAT, ["n", 4]),
        "labels": (INT, ["n"]),
        "scores": (FLOAT, ["n"]),
        "rows": (INT, ["n"]),
    }
    return nodes, values, outputs


def label_nodes() -> tuple[list[Any], dict[str, Any], dict[str, tuple[int, list[Any]]]]:
    """Logits are ten times the mean of each channel; the activation maps are the channels."""
    nodes = [
        helper.make_node("ReduceMean", ["images", "places"], ["means"], keepdims=0),
        helper.make_node("Mul", ["means", "ten"], ["logits"]),
        helper.make_node("Identity", ["images"], ["cam"]),
    ]
    values = {"places": np.array([2, 3]), "ten": np.array(10, np.float32)}
    return nodes, values, {"logits": (FLOAT, ["b", 3]), "cam": (FLOAT, ["b", 3, *SIZE])}


def mask_nodes() -> tuple[list[Any], dict[str, Any], dict[str, tuple[int, list[Any]]]]:
    """The logits of three classes are 20 c - 10 of each channel c."""
    nodes = [
        helper.make_node("Mul", ["images", "gain"], ["gained"]),
        helper.make_node("Sub", ["gained", "half"], ["logits"]),
    ]
    values = {"gain": np.array(20, np.float32), "half": np.array(10, np.float32)}
    return nodes, values, {"logits": (FLOAT, ["b", 3, *SIZE])}


NODES = {"Heatmap": heat_nodes, "Boxes": box_nodes, "Label": label_nodes, "Masks": mask_nodes}


def tiny_check(folder: Path, answers: str = "Heatmap", **card: Any) -> Path:
    """Write a whole check folder; ``card`` sets further fields of the card."""
    folder.mkdir(parents=True)
    nodes, values, outputs = NODES[answers]()
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", FLOAT, ["b", 3, *SIZE])],
        [helper.make_tensor_value_info(name, *kind) for name, kind in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(proto)
    onnx.save(proto, folder / "model.onnx")
    made = Card("tiny", answers, {}, **{"size": SIZE, **card})
    example = np.linspace(0, 1, 3 * SIZE[0] * SIZE[1], dtype=np.float32).reshape(1, 3, *SIZE)
    write_golden(folder, open_engines(folder, made, 1), {"model": {"images": example}})
    Seen().write(folder)
    write_card(made.with_(files=hashes(folder)), folder)
    return folder
