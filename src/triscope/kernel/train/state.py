"""What changes during a training beside the network: the mean of the weights, the best score."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


class Mean:
    """Running mean of a network: ``mean = decay * mean + (1 - decay) * network``.

    Of the learned weights and of the buffers that are numbers with a fraction: the statistics of
    batch normalisation then belong to the mean of the weights, and not to the last ones. Counters
    stay with the network.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {name: value.detach().clone() for name, value in _followed(network)}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take in the network after one step."""
        for name, value in _followed(network):
            self.values[name].lerp_(value, 1 - self.decay)

    @torch.no_grad()
    def exchange(self, network: nn.Module) -> None:
        """Put the mean into the network and keep what the network had here."""
        for name, value in _followed(network):
            kept = value.detach().clone()
            value.copy_(self.values[name])
            self.values[name] = kept

    @contextmanager
    def applied(self, network: nn.Module) -> Iterator[None]:
        """The network with the mean inside, for as long as the block lasts."""
        self.exchange(network)
        try:
            yield
        finally:
            self.exchange(network)


@dataclass
class Best:
    """The best score so far and the weights that had it."""

    score: float | None = None
    misses: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)

    def take(self, score: float, network: nn.Module) -> None:
        """Remember the network where its score (larger is better) is the best so far."""
        if self.score is None or score > self.score:
            self.score, self.misses = score, 0
            self.weights = {k: v.detach().clone() for k, v in network.state_dict().items()}
        else:
            self.misses += 1

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the checkpoint."""
        return {"score": self.score, "misses": self.misses, "weights": self.weights}


def _followed(network: nn.Module) -> list[tuple[str, Tensor]]:
    learned = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    return learned + [(name, b) for name, b in network.named_buffers() if b.is_floating_point()]
