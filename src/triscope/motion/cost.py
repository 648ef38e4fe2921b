"""What a network costs: parameters and multiply-adds, counted without computing anything."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Cost:
    """Parameters, and multiply-adds of convolutions and matrix products for one input.

    Papers write "GFLOPs" for thousand million multiply-adds.
    """

    parameters: int
    multiply_adds: int

    @property
    def giga(self) -> float:
        """Thousand million multiply-adds."""
        return self.multiply_adds / 1e9


def cost(network: nn.Module, *shapes: Shape) -> Cost:
    """The cost of one forward pass on inputs of these shapes; nothing is computed."""
    parameters = sum(p.numel() for p in network.parameters())
    return Cost(parameters, multiply_adds(network, *shapes))


def multiply_adds(network: nn.Module, *shapes: Shape) -> int:
    """Multiply-adds of one forward pass, followed by shapes alone (the meta device)."""
    blank = copy.deepcopy(network).to("meta").eval()
    inputs: Sequence[torch.Tensor] = [torch.empty(shape, device="meta") for shape in shapes]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        blank(*inputs)
    return int(counter.get_total_flops()) // 2
