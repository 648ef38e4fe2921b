"""The files of a check that was just fitted: graphs, weights, golden answer, and their proof."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from triscope.errors import CheckError, TriscopeError
from triscope.kernel import catalogue, config
from triscope.kernel.data import Dataset
from triscope.kernel.export.choose import choose_engine
from triscope.kernel.export.graphs import torch_engines
from triscope.kernel.export.onnx import write_onnx
from triscope.kernel.export.proof import prove
from triscope.kernel.protocols import Begins, Graph
from triscope.kernel.runtime.card import Card
from triscope.kernel.runtime.check import Check
from triscope.kernel.runtime.engine import MAIN, Arrays
from triscope.kernel.runtime.golden import write_golden
from triscope.kernel.weights import to_follow

WEIGHTS = "weights.safetensors"


class Fitted:
    """A model in memory as the origin of a check's files.

    ``examples`` are inputs of the main graph as captures gave them, for the golden answer and the
    proof; the other graphs are proven on their own examples.
    """

    def __init__(
        self,
        model: Any,
        graphs: Mapping[str, Graph],
        examples: list[Arrays],
        engine: str = "auto",
    ) -> None:
        self.model = model
        self.graphs = dict(graphs)
        self.examples = examples
        self.engine = engine

    def write(self, folder: Path, check: Check) -> Card:
        """Export everything into an empty folder; the card says by which engine and how exact."""
        for name, graph in self.graphs.items():
            write_onnx(graph, folder / f"{name}.onnx")
        save_weights(self.model, folder)
        inputs = {name: self.inputs(name) for name in self.graphs}
        card = check.card.with_(graphs=tuple(self.graphs))
        name, engines, times = choose_engine(folder, card, inputs[MAIN][0], self.engine)
        proof = prove(torch_engines(self.graphs), engines, inputs)
        if proof["relative"] > card.tolerance:
            raise TriscopeError(
                f"the exported graph of {card.model} answers differently from the library: "
                f"{proof['relative']:.2g} relative (allowed: {card.tolerance:.2g}). "
                "Nothing was saved; please report this model and its settings."
            )
        write_golden(folder, engines, {name: arrays[0] for name, arrays in inputs.items()})
        return card.with_(engine=name, proof={**proof, "milliseconds": times})

    def inputs(self, name: str) -> list[Arrays]:
        """What a graph is proven on; never nothing."""
        if name == MAIN and self.examples:
            return self.examples
        return [{key: value.numpy() for key, value in self.graphs[name].example.items()}]


def save_weights(model: Any, folder: Path) -> None:
    """``weights.safetensors``; tensors that share memory are stored each by itself."""
    weights = {name: value.detach().cpu().contiguous() for name, value in model.weights().items()}
    met: set[int] = set()
    for name, value in weights.items():
        if value.data_ptr() in met:
            weights[name] = value.clone()
        met.add(value.data_ptr())
    try:
        save_file(weights, str(folder / WEIGHTS))
    except SafetensorError as error:  # it wraps the disk's error
        raise OSError(f"{WEIGHTS}: {error}") from error
    (folder / WEIGHTS).chmod(0o644)


def restored(check: Check) -> Any:
    """The model of a check as it was after fitting; raises CheckError without its weights."""
    card = check.card
    if check.folder is None and isinstance(check.origin, Fitted):
        return check.origin.model
    assert check.folder is not None
    weights = check.folder / WEIGHTS
    if not weights.is_file():
        raise CheckError(
            f"{check.folder} was exported without weights and cannot learn: change the check that "
            "it was exported from."
        )
    if card.precision != "fp32":
        raise CheckError(
            f"{check.folder} is a copy in {card.precision}: change the check that it was exported "
            "from, and export again."
        )
    settings: Any = config.build(catalogue.settings_class(card.model), card.settings)
    with to_follow():
        model = catalogue.load(card.model)(settings)
        if isinstance(model, Begins):
            model.begin(Dataset((), classes=card.classes))
    model.restore(load_file(weights))
    return model
