"""The ways of learning, of predicting and of being saved. A model implements what it can do.

``verbs.fit`` looks at the methods and picks the loop: networks descend (``losses``), memory banks
and Gaussians watch (``watch`` and ``settle``), forests learn at once (``fit``). A model with both
``losses`` and ``watch`` descends first and watches afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor, nn


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

    def losses(self, images: Tensor) -> Mapping[str, Tensor]:
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
