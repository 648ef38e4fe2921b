"""The decoder draws masks only where somebody asks for a size."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from triscope.segment.export.tail import append_tail
from triscope.segment.frame import Frame


@pytest.fixture(scope="module")
def session() -> onnxruntime.InferenceSession:
    """The tail behind a graph that only hands logits and IoU on."""
    maps = helper.make_tensor_value_info("given", TensorProto.FLOAT, ["n", 4, 16, 16])
    iou = helper.make_tensor_value_info("quality", TensorProto.FLOAT, ["n", 4])
    outputs = [
        helper.make_tensor_value_info("low_res_masks", TensorProto.FLOAT, ["n", 4, 16, 16]),
        helper.make_tensor_value_info("iou_predictions", TensorProto.FLOAT, ["n", 4]),
    ]
    nodes = [
        helper.make_node("Identity", ["given"], ["low_res_masks"]),
        helper.make_node("Identity", ["quality"], ["iou_predictions"]),
    ]
    graph = helper.make_graph(nodes, "handed on", [maps, iou], outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    whole: onnx.ModelProto = append_tail(model, side=64, extra=True)
    return onnxruntime.InferenceSession(whole.SerializeToString())


LOGITS = np.random.default_rng(0).standard_normal((2, 4, 16, 16)).astype(np.float32) * 3


def ask(session: onnxruntime.InferenceSession, h: int, w: int) -> dict[str, np.ndarray]:
    names = [output.name for output in session.get_outputs()]
    given = {
        "given": LOGITS,
        "quality": np.ones((2, 4), np.float32),
        "orig_im_size": np.array([h, w], np.float32),
    }
    return dict(zip(names, session.run(None, given), strict=True))


@pytest.mark.parametrize("hw", [(48, 64), (100, 37), (1, 7), (64, 64)])
def test_drawn_as_the_frame_draws(
    session: onnxruntime.InferenceSession, hw: tuple[int, int]
) -> None:
    found = ask(session, *hw)
    ours = np.stack([[Frame(hw, 64).logits_out(low) for low in four] for four in LOGITS])
    assert found["masks"].shape == (2, 4, *hw)
    assert np.abs(found["masks"] - ours).max() < 1e-4
    assert np.array_equal(found["areas"], (found["masks"] > 0).sum(axis=(2, 3)))
    inner, outer = ((found["masks"] > t).sum(axis=(2, 3)) for t in (1, -1))
    assert np.allclose(found["stability_scores"], inner / np.maximum(outer, 1), equal_nan=True)


def test_no_size_draws_nothing(session: onnxruntime.InferenceSession) -> None:
    found = ask(session, 0, 0)
    assert found["masks"].size == found["areas"].size == found["stability_scores"].size == 0
    assert np.array_equal(found["low_res_masks"], LOGITS)
