"""A check that is known by heart: its heat is the brightness beyond 0.25, times 10. No torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from triscope.kernel.results import Zones
from triscope.kernel.runtime.card import Card, Version, sha256, write_card
from triscope.kernel.runtime.engine import OnnxEngine
from triscope.kernel.runtime.golden import write_golden

ZONES = Zones(1.0, 2.0, pixel_above=1.5, basis="Chosen by hand for a test.")
SIZE = (24, 32)
PEAK = (200 / 255 - 0.25) * 10


def good_picture() -> NDArray[np.uint8]:
    """Dark grey (24, 32, 3): heat 0."""
    return np.full((*SIZE, 3), 40, np.uint8)


def bad_picture() -> NDArray[np.uint8]:
    """The same with a bright spot in rows 4 to 9 and columns 10 to 19."""
    picture = good_picture()
    picture[4:10, 10:20] = 200
    return picture


def tiny_check(folder: Path) -> Path:
    """Write the check folder."""
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(_graph())
    engine = OnnxEngine(folder / "model.onnx", 1)
    images = np.random.default_rng(0).random((1, 3, *SIZE), dtype=np.float32)
    write_golden(folder, {"model": engine}, {"model": {"images": images}})
    (folder / "images.json").write_text("[]\n")
    files = {path.name: sha256(path) for path in folder.iterdir()}
    card = Card("tiny", "Heatmap", {}, SIZE, zones=ZONES, version=Version(), files=files)
    write_card(card, folder)
    return folder


def _graph() -> bytes:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def constant(name: str, value: object) -> onnx.TensorProto:
        return numpy_helper.from_array(np.asarray(value), name)

    nodes = [
        helper.make_node("ReduceMean", ["images"], ["grey"], axes=[1], keepdims=0),
        helper.make_node("Sub", ["grey", "floor"], ["beyond"]),
        helper.make_node("Relu", ["beyond"], ["above"]),
        helper.make_node("Mul", ["above", "ten"], ["heat"]),
        helper.make_node("ReduceMax", ["heat"], ["score"], axes=[1, 2], keepdims=0),
    ]
    floats = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", floats, ["b", 3, *SIZE])],
        [
            helper.make_tensor_value_info("heat", floats, ["b", *SIZE]),
            helper.make_tensor_value_info("score", floats, ["b"]),
        ],
        [constant("floor", np.float32(0.25)), constant("ten", np.float32(10))],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()
