"""Export: nothing printed, the batch stays free, int8 and engines with their proof."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from toy_models import mvtec, part

import triscope
from triscope.errors import CheckError, TriscopeError, UsageError
from triscope.kernel.export import choose
from triscope.kernel.export.graphs import TorchEngine
from triscope.kernel.export.int8 import quantise
from triscope.kernel.export.onnx import write_onnx
from triscope.kernel.export.proof import prove
from triscope.kernel.protocols import Graph
from triscope.kernel.runtime.engine import OnnxEngine, OpenVinoEngine

pytestmark = pytest.mark.usefixtures("toy_catalogue")


class Several(nn.Module):
    """Two inputs, three outputs, one of them whole numbers."""

    def forward(
        self, left: torch.Tensor, right: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        total = left.sum(1) + right
        return total, total.mean((1, 2)), total.flatten(1).argmax(1)


def several() -> Graph:
    example = {"left": torch.rand(2, 3, 4, 5), "right": torch.rand(2, 4, 5)}
    free = {"left": {0: "batch"}, "right": {0: "batch"}}
    return Graph(Several(), example, ("total", "mean", "place"), free)


def test_named_inputs_and_outputs_of_any_batch(tmp_path: Path, capfd: object) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_onnx(several(), tmp_path / "model.onnx")
    said = capfd.readouterr()  # type: ignore[attr-defined]
    assert said.out == "" and said.err == ""
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]  # no file beside it
    library, engine = TorchEngine(several()), OnnxEngine(tmp_path / "model.onnx", 1)
    rng = np.random.default_rng(0)
    inputs = [
        {
            "left": rng.random((b, 3, 4, 5), np.float32),
            "right": rng.random((b, 4, 5), np.float32),
        }
        for b in (1, 2, 5)
    ]
    for one in inputs:
        expected, found = library.run(one), engine.run(one)
        assert list(found) == ["total", "mean", "place"]
        assert found["place"].dtype == np.int64
        for name, array in expected.items():
            assert found[name].shape == array.shape and np.allclose(found[name], array, atol=1e-6)
    proof = prove({"g": library}, {"g": engine}, {"g": inputs})
    assert proof["relative"] < 1e-6 and proof["inputs"] == 3
    assert set(proof["absolute"]) == {"g.total", "g.mean", "g.place"}


def test_relu6_is_exported_as_it_computes(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU6(inplace=True), nn.ReLU6())
    graph = Graph(net, {"x": torch.randn(2, 3, 5, 5)}, ("y",), {"x": {0: "batch"}})
    write_onnx(graph, tmp_path / "m.onnx")
    x = 30 * np.random.default_rng(0).standard_normal((3, 3, 5, 5)).astype(np.float32)
    expected = TorchEngine(graph).run({"x": x})["y"]
    assert expected.max() == 6 and expected.min() == 0
    assert np.allclose(OnnxEngine(tmp_path / "m.onnx", 1).run({"x": x})["y"], expected, atol=1e-5)
    assert "forward" not in net[1].__dict__


def test_a_graph_that_cannot_be_exported_is_named(tmp_path: Path) -> None:
    class Branch(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2 if float(x.sum()) > 0 else x

    graph = Graph(Branch(), {"x": torch.rand(2, 3)}, ("y",), {"x": {0: "batch"}})
    with pytest.raises(TriscopeError, match="odd could not be exported as ONNX"):
        write_onnx(graph, tmp_path / "odd.onnx")


def test_a_graph_that_answers_differently_is_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from triscope.kernel.export import fitted

    def wrong(graph: Graph, path: Path) -> None:
        net = nn.Sequential(graph.module)
        bank = next(iter(graph.module.buffers()))
        bank += 0.05  # the exported graph differs from the one that is asked afterwards
        write_onnx(graph, path)
        bank -= 0.05
        del net

    monkeypatch.setattr(fitted, "write_onnx", wrong)
    check = triscope.fit("toy_watcher", mvtec(tmp_path / "parts"), engine="onnxruntime")
    with pytest.raises(TriscopeError, match=r"answers differently from the library.*Nothing was s"):
        check.save(tmp_path / "check")
    assert [p.name for p in tmp_path.iterdir()] == ["parts"]


def test_int8_keeps_the_promise_and_states_what_changed(tmp_path: Path) -> None:
    data = mvtec(tmp_path / "parts")
    learned = {"steps": 150, "learning_rate": 0.01}
    check = triscope.fit("toy_descender", data, learned, engine="onnxruntime")
    check.save(tmp_path / "check")
    check.export(tmp_path / "line", int8=True, data=data, engine="onnxruntime")
    opened = triscope.open(tmp_path / "line")
    assert triscope.open(tmp_path / "check").card == check.card  # the original is untouched
    assert opened.card.precision == "int8" and opened.card.zones != check.card.zones
    held = [check.prepare(sample) for sample in check.seen.samples("calibrate")]
    assert opened.card.zones and opened.card.zones.fail_above == pytest.approx(
        max(opened.reading(one).score for one in held)
    )
    assert opened.card.version == check.card.version
    graph = onnx.load(tmp_path / "line" / "model.onnx").graph
    kinds = {i.data_type for i in graph.initializer if len(i.dims) == 4}
    assert kinds == {onnx.TensorProto.INT8}
    proof = opened.card.proof
    assert proof["int8"] == {"nodes": {"model": 2}, "images": 10, "calibrated": True}
    inputs = [check.prepare(sample).inputs for sample in triscope.data(data).split("train")]
    gap = max(
        np.abs(check.engine.run(one)["heat"] - opened.engine.run(one)["heat"]).max()
        for one in inputs
    )
    assert proof["from"]["absolute"]["model.heat"] == pytest.approx(gap) and gap > 1e-6
    assert proof["relative"] < 1e-3  # of the float graph, as it was
    change = proof["change"]
    assert change["images"] == 6 and change["image_auroc"] == {"before": 1.0, "after": 1.0}
    assert change["aupro"]["after"] == pytest.approx(change["aupro"]["before"], abs=0.1)
    assert 0 <= change["verdicts"] <= 6
    json.dumps(dict(proof))


def test_int8_needs_something_to_quantise(tmp_path: Path) -> None:
    check = triscope.fit("toy_watcher", mvtec(tmp_path / "parts"), engine="onnxruntime")
    check.save(tmp_path / "check")
    with pytest.raises(TriscopeError, match="no convolution and no matrix product"):
        quantise(tmp_path / "check" / "model.onnx", [{"images": np.zeros((1, 3, 32, 32))}])


def test_engines_are_measured_or_named(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    check = triscope.fit("toy_descender", mvtec(tmp_path / "parts"), engine="onnxruntime")
    check.save(tmp_path / "check")
    other = check.export(tmp_path / "line", engine="openvino")
    assert other.card.engine == "openvino" and other.card.precision == "fp32"
    assert other.card.proof["from"]["relative"] < 1e-4
    image = part(5, defect=True)
    assert other.inspect(image).score == pytest.approx(check.inspect(image).score, rel=1e-4)
    raced = check.export(tmp_path / "raced")
    times = raced.card.proof["milliseconds"]
    assert set(times) == {"onnxruntime", "openvino"} and min(times.values()) > 0
    assert raced.card.engine in times
    with pytest.raises(CheckError, match="no engine 'tensorrt' here: expected auto, onnxruntime"):
        check.export(tmp_path / "no", engine="tensorrt")
    assert not (tmp_path / "no").exists()


def test_half_floats_are_a_form_of_their_own_with_thresholds_of_their_own(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    data = mvtec(tmp_path / "parts")
    learned = {"steps": 150, "learning_rate": 0.01}
    check = triscope.fit("toy_descender", data, learned, engine="onnxruntime")
    check.save(tmp_path / "check")
    check.export(tmp_path / "line", bf16=True, data=data)
    opened = triscope.open(tmp_path / "line")
    assert (opened.card.precision, opened.card.engine) == ("bf16", "openvino")
    assert opened.card.proof["bf16"] == {"calibrated": True}
    assert opened.card.proof["from"]["relative"] < opened.card.tolerance
    held = [opened.reading(opened.prepare(s)) for s in opened.seen.samples("calibrate")]
    assert opened.card.zones and opened.card.zones.fail_above == pytest.approx(
        max(one.score for one in held)
    )
    for wrong in ({"int8": True}, {"engine": "onnxruntime"}):
        with pytest.raises(UsageError, match=r"bf16 and .* exclude each other"):
            check.export(tmp_path / "no", bf16=True, **wrong)


def test_a_faster_engine_that_answers_differently_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    check = triscope.fit("toy_descender", mvtec(tmp_path / "parts"), engine="onnxruntime")
    check.save(tmp_path / "check")
    monkeypatch.setattr(choose, "_milliseconds", lambda e, _: 1.0 if e.name == "openvino" else 9.0)
    assert check.export(tmp_path / "same").card.engine == "openvino"
    plain = OpenVinoEngine.run
    monkeypatch.setattr(
        OpenVinoEngine, "run", lambda e, x: {k: 2 * v for k, v in plain(e, x).items()}
    )
    assert check.export(tmp_path / "other").card.engine == "onnxruntime"
