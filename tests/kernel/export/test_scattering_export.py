"""Wavelet scattering as ONNX: flat dark pictures, where constants that are too small get lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor, nn

from triscope.kernel.export.graphs import graphs_of, torch_engines
from triscope.kernel.export.onnx import write_onnx
from triscope.kernel.nn.scattering import Scattering
from triscope.kernel.runtime.engine import OnnxEngine


class Levels(nn.Module):
    """The finest level as a heat map, so that it can be exported like a model."""

    def __init__(self) -> None:
        super().__init__()
        self.scattering = Scattering()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        level = self.scattering(images)[0]
        return level.flatten(1, 2), level.amax((1, 2, 3))


class Model:
    """What is exported."""

    def graph(self) -> nn.Module:
        return Levels().eval()


def test_flat_dark_pictures_answer_alike(tmp_path: Path) -> None:
    graphs = graphs_of(Model(), "Heatmap", (64, 64))
    write_onnx(graphs["model"], tmp_path / "model.onnx")
    flat = np.full((1, 3, 64, 64), 0.08, np.float32)
    flat += np.random.default_rng(0).normal(0, 1e-3, flat.shape).astype(np.float32)
    library = torch_engines(graphs)["model"].run({"images": flat})
    exported = OnnxEngine(tmp_path / "model.onnx", 1).run({"images": flat})
    for name, expected in library.items():
        np.testing.assert_allclose(exported[name], expected, atol=2e-6)
