"""Which graphs a model has, how they are called, and the engine that runs them as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from triscope.kernel.protocols import ExportsGraphs, Graph
from triscope.kernel.runtime.engine import MAIN, Array, Arrays

# What graph() answers, in this order; a graph may leave out the last ones.
OUTPUTS = {
    "Heatmap": ("heat", "score"),
    "Boxes": ("boxes", "labels", "scores", "rows"),
    "Label": ("logits", "cam"),
    "Masks": ("logits", "score"),
}


def graphs_of(model: Any, answers: str, size: tuple[int, int]) -> dict[str, Graph]:
    """The graphs of a fitted model by name; one from images to its answer if it names none."""
    if isinstance(model, ExportsGraphs):
        return dict(model.graphs())
    module = model.graph()
    images = torch.full((2, 3, *size), 0.5)
    with torch.inference_mode():
        count = len(_tuple(module(images)))
    names = OUTPUTS[answers][:count]
    return {MAIN: Graph(module, {"images": images}, names, {"images": {0: "batch"}})}


class TorchEngine:
    """The library's own module behind the interface of the engines."""

    name = "torch"

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.module = graph.module.eval()

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """See ``kernel.runtime.engine.Engine``."""
        tensors = [torch.from_numpy(_owned(inputs[name])) for name in self.graph.example]
        with torch.inference_mode():
            outputs = _tuple(self.module(*tensors))
        return {
            name: value.cpu().numpy()
            for name, value in zip(self.graph.outputs, outputs, strict=True)
        }


def torch_engines(graphs: Mapping[str, Graph]) -> dict[str, TorchEngine]:
    """One engine a graph."""
    return {name: TorchEngine(graph) for name, graph in graphs.items()}


def _owned(array: Array) -> Array:
    """Torch warns of arrays that may not be written to."""
    array = np.ascontiguousarray(array)
    return array if array.flags.writeable else array.copy()


def _tuple(outputs: Any) -> tuple[Tensor, ...]:
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
