"""The ways of learning, of predicting and of being saved. A model implements what it can do.

``verbs.fit`` looks at the methods and picks the loop: networks descend (``losses``), memory banks
and Gaussians watch (``watch`` and ``settle``), forests learn at once (``fit``). A model with both
``losses`` and ``watch`` descends first and watches afterwards.

What is asked beyond that is optional. A model that reads plain images, answers heat maps and has
``settings.size`` needs none of the hooks in the second half of this file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor, nn

    from triscope.kernel.data import Dataset, Split

# progress(stage, done, total); total is None where it is not known.
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, eq=False)
class Graph:
    """One graph of a check: what is exported as ``NAME.onnx`` and how it is called.

    ``example`` holds a tensor for each input, in the order of ``module.forward``; ``outputs`` names
    what it returns, in order; ``free`` names the axes whose size may change: ``{"images": {0:
    "batch"}}``. Axes of the same name have the same size.
    """

    module: nn.Module
    example: Mapping[str, Tensor]
    outputs: tuple[str, ...]
    free: Mapping[str, Mapping[int, str]] = field(default_factory=dict)


@runtime_checkable
class LearnsAtOnce(Protocol):
    """Forests and linear models: a table in, a fitted model out."""

    def fit(self, x: Any, y: Any) -> Any: ...


@runtime_checkable
class LearnsByWatching(Protocol):
    """Memory banks and Gaussians: one pass over the data, no gradient."""

    def watch(self, images: Tensor, ids: Tensor) -> None:
        """See a batch: images float32 (b, 3, h, w) in [0, 1], ids int64 (b,) naming the images."""

    def settle(self) -> None:
        """All data were seen: finish the statistics. May be called again after more watching."""


@runtime_checkable
class LearnsByGradient(Protocol):
    """Networks: ``kernel.train`` drives them."""

    def losses(self, batch: Any, /) -> Mapping[str, Tensor]:
        """Parts of the loss of one batch; ``"loss"`` is what is minimised."""

    def network(self) -> nn.Module:
        """The module whose parameters with ``requires_grad`` are learned."""


@runtime_checkable
class Forgets(Protocol):
    """Models that can drop what they learned from given images."""

    def forget(self, ids: Tensor) -> None:
        """Remove the images of these ids (int64); ``settle`` follows."""


@runtime_checkable
class Saves(Protocol):
    """What stands in ``weights.safetensors``."""

    def weights(self) -> Mapping[str, Tensor]:
        """Everything that was learned, and the frozen parts that an answer needs."""

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Put the result of ``weights`` back; the model answers as before."""


@runtime_checkable
class Answers(Protocol):
    """The one prediction path: evaluation, export and runtime use this module."""

    def graph(self) -> nn.Module:
        """Module with pre- and post-processing inside: images float32 (b, 3, h, w) in [0, 1] in."""


# --- hooks that a model may offer ---


@runtime_checkable
class OpensData(Protocol):
    """Models whose captures are not single images: clips, scenes, rigs."""

    @staticmethod
    def open_data(source: Any) -> Dataset:
        """The data behind a folder or address, with its splits, as ``kernel.data.open_data``."""


@runtime_checkable
class Begins(Protocol):
    """Models that must know their classes before they can be built."""

    def begin(self, data: Dataset) -> None:
        """Called once before learning, with the training data; and before ``restore``, with a data
        set without samples that names the classes."""


@runtime_checkable
class MakesBatches(Protocol):
    """Models that descend on more than images: boxes, masks, labels, clips, scenes."""

    def batches(self, data: Dataset, split: Split, seed: int) -> Any:
        """What ``kernel.train`` walks: one frozen batch type of the domain after the other.

        ``data`` holds the samples of that split alone. A function of the epoch's number, or
        something that can be walked again and again (see ``kernel.train.batches``).
        """


@runtime_checkable
class LooksAtWindows(Protocol):
    """Models with batches of their own that learn from windows where captures are cut into some."""

    def at_windows(self, tile: int) -> None:
        """Called once before the batches are made; raises BadSettings where windows of ``tile``
        pixels teach nothing."""


class Phase(Protocol):
    """One step of a training that has several: what learns in it, and for how long."""

    name: str  # of its folder of checkpoints; the names sort in the order of the phases
    share: float  # of the steps of the plan

    def begin(self) -> None:
        """Called before this phase, once those before it are done."""

    def losses(self, batch: Any) -> Mapping[str, Tensor]:
        """As in :class:`LearnsByGradient`."""

    def network(self) -> nn.Module:
        """As in :class:`LearnsByGradient`."""


@runtime_checkable
class LearnsInPhases(Protocol):
    """Networks that are trained step by step, such as the five steps of DDN."""

    def phases(self) -> Sequence[Phase]:
        """The steps in order."""


@runtime_checkable
class ScoresItself(Protocol):
    """Models that stop early: the weights with the best score are kept."""

    def score(self, data: Dataset) -> float:
        """How well the held-out samples are answered; larger is better."""


@runtime_checkable
class Describes(Protocol):
    """Models whose card says more than ``settings.size``."""

    def card(self) -> Mapping[str, Any]:
        """Fields of the card that only the model knows: ``classes``, ``capture``, ``size``,
        ``input`` (see ``kernel.runtime.card``). Asked after learning."""


@runtime_checkable
class MakesCheck(Protocol):
    """Models that are no single graph: their captures are folders (scans), read as a whole."""

    def make_check(self, card: Any, scans: Any, root: str, seen: Any, progress: Progress) -> Any:
        """The fitted check from the good samples of a folder; what it could not use is in
        ``check.skipped``."""


@runtime_checkable
class ExportsGraphs(Protocol):
    """Models whose graph is not images in, the usual names of their answer out; or several."""

    def graphs(self) -> Mapping[str, Graph]:
        """The graphs of the check by name; the one called ``model`` is the main one."""


def way_of_learning(model: object) -> tuple[str, ...]:
    """The loops that fit this model, in order; raises TypeError naming what is missing."""
    ways = []
    if isinstance(model, LearnsByGradient):
        ways.append("gradient")
    if isinstance(model, LearnsByWatching):
        ways.append("watching")
    if not ways and isinstance(model, LearnsAtOnce):
        ways.append("at once")
    if not ways:
        raise TypeError(
            f"{type(model).__name__} has none of losses() + network(), watch() + settle(), fit(); "
            "see triscope/kernel/protocols.py"
        )
    return tuple(ways)
