"""Low-rank additions to the attention of an encoder (LoRA, arXiv:2106.09685 section 4)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class LoraLinear(nn.Module):
    """A frozen linear layer plus ``up(down(x))`` of a small rank, zero at the beginning."""

    def __init__(self, linear: nn.Linear, rank: int) -> None:
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.down = nn.Parameter(torch.empty(rank, linear.in_features))
        self.up = nn.Parameter(torch.zeros(linear.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, x: Float[Tensor, "*b i"]) -> Float[Tensor, "*b o"]:
        return self.linear(x) + F.linear(F.linear(x, self.down), self.up)

    def merged(self) -> nn.Linear:
        """One plain layer that answers the same."""
        with torch.no_grad():
            self.linear.weight += self.up @ self.down
        return self.linear


def add_lora(encoder: nn.Module, rank: int = 4) -> int:
    """Replace the linear layers of all attentions; answers how many."""
    count = 0
    for module in list(encoder.modules()):
        if not isinstance(getattr(module, "qkv", None), nn.Linear):
            continue
        for key in ("qkv", "proj"):
            linear = getattr(module, key)
            assert isinstance(linear, nn.Linear)
            setattr(module, key, LoraLinear(linear, rank))
            count += 1
    return count


def merge_lora(encoder: nn.Module) -> None:
    """Fold the additions into the layers: the published keys again."""
    for module in list(encoder.modules()):
        for key, child in list(module.named_children()):
            if isinstance(child, LoraLinear):
                setattr(module, key, child.merged())
