"""The sweep in torch: what runs on a GPU, for the paper's form, and where there is no compiler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from triscope.shape.models._warp import variance, warped
from triscope.shape.sweep.answer import Swept
from triscope.shape.warp import Warp

if TYPE_CHECKING:
    from triscope.shape.models._gru import GruRegulariser


class Running:
    """The soft-max over the planes as they come, and the scores around the best one."""

    def __init__(self, like: Tensor) -> None:
        self.best = torch.full_like(like, -torch.inf)
        self.total = torch.zeros_like(like)  # sum of exp(score - best)
        self.index = torch.zeros_like(like, dtype=torch.int32)
        self.before = torch.full_like(like, -torch.inf)
        self.after = torch.full_like(like, -torch.inf)
        self.last = torch.full_like(like, -torch.inf)
        self.plane = 0

    def add(self, score: Tensor) -> None:
        """One more plane; the first of equal scores wins."""
        follows = self.index == self.plane - 1
        self.after = torch.where(follows, score, self.after)
        higher = score > self.best
        best = torch.maximum(score, self.best)
        self.total = self.total * torch.exp(self.best - best) + torch.exp(score - best)
        self.index[higher] = self.plane
        self.before = torch.where(higher, self.last, self.before)
        self.after = self.after.masked_fill(higher, -torch.inf)
        self.best, self.last, self.plane = best, score, self.plane + 1

    def answer(self) -> Swept:
        """The best plane, its probability and the scores around it."""
        around = torch.stack([self.before, self.best, self.after])
        return Swept(self.index.cpu().numpy(), (1 / self.total).cpu().numpy(), around.cpu().numpy())


@torch.no_grad()
def torch_sweep(features: Any, warp: Warp, depths: Any, network: GruRegulariser) -> Swept:
    """See :func:`triscope.shape.sweep.sweep`; runs where the network is."""
    device = next(network.parameters()).device
    maps = torch.as_tensor(features, dtype=torch.float32, device=device)
    size = (maps.shape[-2], maps.shape[-1])
    running, states = Running(maps[0, 0]), None
    for depth in depths:
        others = warped(maps[1:], warp, float(depth), size)
        score, states = network.plane(-variance(maps[0], others)[None], states)
        running.add(score[0])
    return running.answer()
