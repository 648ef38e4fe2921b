"""An exported check of R-MVSNet: the graph of its features, and inspection without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import triscope
from triscope.errors import CheckDamaged, TriscopeError
from triscope.kernel.runtime.engine import OnnxEngine
from triscope.shape import recurrent
from triscope.shape.models._features import UNetDS2GN, UniNetDS2
from triscope.shape.models._graph import write_features
from triscope.shape.models.rmvsnet import RMVSNet, Rmvsnet, Settings
from triscope.shape.recurrent import Exported
from triscope.shape.synth import Look, Part, Rig, write_part
from triscope.shape.tensors import read_tensors

# What a machine on the line has not got.
WITHOUT_TORCH = """
import json, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "safetensors", "jaxtyping", "onnx"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
import triscope
check = triscope.open(sys.argv[1])
found = check.inspect(sys.argv[2])
print(json.dumps([found.score, found.verdict.outcome, type(check.model).__name__]))
"""


@pytest.mark.parametrize("network", [UNetDS2GN, UniNetDS2])
def test_the_graph_answers_as_the_network_at_any_size(
    network: type[nn.Module], tmp_path: Path
) -> None:
    torch.manual_seed(3)
    net = network().eval()
    for tensor in [*net.parameters(), *net.buffers()]:
        if tensor.dim() == 1:  # scales and biases of norms, so that each of them is seen
            nn.init.uniform_(tensor, 0.5, 2.0)
    write_features(net, tmp_path / "features.onnx")
    engine = OnnxEngine(tmp_path / "features.onnx", 1)
    for size in ((32, 48), (48, 16)):
        images = torch.randn(1, 3, *size)
        with torch.no_grad():
            expected = net(images).numpy()
        found = engine.run({"images": images.numpy()})["features"]
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_a_network_without_a_graph_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(TriscopeError, match="Linear has no ONNX form"):
        write_features(nn.Linear(2, 2), tmp_path / "x.onnx")


def test_exported_features_of_an_odd_size_are_those_of_the_library(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = RMVSNet().eval()
    model = Rmvsnet(Settings(weights="x"), network)
    model.graph_files(tmp_path)
    engine = OnnxEngine(tmp_path / "features.onnx", 1)
    exported = Exported(model.settings, engine, {})
    image = np.random.default_rng(0).integers(0, 256, (45, 70, 3), np.uint8)
    one, two = model.prepare(image)[0], exported.prepare(image)[0]
    assert one.shape == two.shape == (32, 12, 18)
    assert np.abs(one - two).max() < 1e-4 * np.abs(one).max()


def test_a_large_photo_gives_its_memory_back_and_the_answers_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    write_features(UNetDS2GN().eval(), tmp_path / "features.onnx")
    engine = OnnxEngine(tmp_path / "features.onnx", 1)
    exported = Exported(Settings(weights="x"), engine, {})
    image = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    before, session = exported.prepare(image)[0], engine._session
    monkeypatch.setattr(recurrent, "LARGE", 100)
    assert np.array_equal(exported.prepare(image)[0], before) and engine._session is not session
    session = engine._session
    (tmp_path / "features.onnx").write_bytes(b"another graph")
    assert np.array_equal(exported.prepare(image)[0], before) and engine._session is session


def test_tensors_are_read_without_their_package(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(2, 3), "b": torch.randn(4).half(), "c": torch.arange(3)}
    save_file(tensors, str(tmp_path / "x.safetensors"))
    found = read_tensors(tmp_path / "x.safetensors")
    assert set(found) == set(tensors)
    for name, tensor in tensors.items():
        assert np.array_equal(found[name], tensor.numpy())
    content = (tmp_path / "x.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[:-5])
    with pytest.raises(CheckDamaged, match="cannot be read as safetensors"):
        read_tensors(tmp_path / "cut.safetensors")


def test_a_check_of_rmvsnet_inspects_without_torch(tmp_path: Path) -> None:
    rig = Rig(views=3, size=(128, 176))
    for i in range(2):
        write_part(tmp_path / "part" / "good" / str(i), Part("drilled"), rig, Look(seed=50 * i),
                   mesh_step=2.0)  # fmt: skip
    settings = {"planes": 64, "relative": 0.02, "cell": 6.0, "agree": 2, "points": 1,
                "weights": "own"}  # fmt: skip
    check = triscope.fit("rmvsnet", tmp_path / "part", settings, out=tmp_path / "check",
                         calibrate=0)  # fmt: skip
    expected = check.inspect(tmp_path / "part" / "good" / "1")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(tmp_path / "check"),
         str(tmp_path / "part" / "good" / "1")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    score, outcome, kind = json.loads(done.stdout)
    assert kind == "Exported" and outcome == expected.verdict.outcome
    assert score == pytest.approx(expected.score, abs=0.05)
