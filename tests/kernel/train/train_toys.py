"""Small models that the tests of the loop train; importable, so that processes can be spawned."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Toy:
    """Fits a line through noise; has dropout, batch statistics and a frozen part."""

    def __init__(self, dropout: float = 0.0) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(3)
            body = nn.Sequential(
                nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 1)
            )
            frozen = nn.Linear(4, 1).requires_grad_(False)
        self.parts = nn.ModuleDict({"body": body, "frozen": frozen})
        self.seen: list[Tensor] = []

    def network(self) -> nn.Module:
        return self.parts

    def losses(self, images: Tensor) -> dict[str, Tensor]:
        self.seen.append(images.clone())
        noise = 0.1 * torch.randn(len(images), 1)
        fit = (self.parts["body"](images) - self.parts["frozen"](images) - noise).square().mean()
        size = self.parts["body"][0].weight.square().mean()
        return {"loss": fit + 0.01 * size, "fit": fit, "size": size}


class Plain:
    """One linear layer without anything random: several processes must agree with one."""

    def __init__(self) -> None:
        self.line = nn.Linear(4, 1)
        nn.init.ones_(self.line.weight)
        nn.init.zeros_(self.line.bias)

    def network(self) -> nn.Module:
        return self.line

    def losses(self, images: Tensor) -> dict[str, Tensor]:
        return {"loss": (self.line(images) - images.sum(1, keepdim=True) * 0.5).square().mean()}


class Bad(Plain):
    """A loss that is not finite from the third step on."""

    steps = 0

    def losses(self, images: Tensor) -> dict[str, Tensor]:
        self.steps += 1
        loss = super().losses(images)["loss"]
        parts = {"near": loss * 0 + 0.5, "far": loss * (float("nan") if self.steps > 2 else 1.0)}
        return {"loss": parts["near"] + parts["far"], **parts}


def points(count: int = 22) -> Tensor:
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(1))


class Points:
    """The loader of Shuffled over ``points``."""

    def __init__(self, count: int = 22) -> None:
        self.all = points(count)

    def __call__(self, index: int) -> Tensor:
        return self.all[index]
