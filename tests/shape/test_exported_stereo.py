"""An exported check of R-MVSNet: the graph of its features, and inspection without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from triscope.errors import CheckDamaged, TriscopeError
from triscope.kernel.runtime.engine import OnnxEngine
from triscope.shape.models._features import UNetDS2GN, UniNetDS2
from triscope.shape.models._graph import write_features
from triscope.shape.models.rmvsnet import RMVSNet, Rmvsnet, Settings
from triscope.shape.recurrent import Exported
from triscope.shape.tensors import read_tensors


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
