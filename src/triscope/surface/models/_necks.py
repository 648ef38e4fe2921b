"""From the four maps of the backbone to what regions are proposed and pooled from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

Placement = Literal["before", "after", "hyper"]
FusionNorm = Literal["batch", "none"]
Maps = Sequence[Float[Tensor, "b _ _ _"]]
STRIDE_16 = 2  # place of R4 among R2 to R5
QUIET = 0.3  # gain of the other levels at the start


class Neck(nn.Module):
    """Maps of the backbone in, maps of ``out`` channels out."""

    out: int


def conv(
    before: int, after: int, kernel: int = 1, stride: int = 1, *, norm: FusionNorm = "batch"
) -> nn.Sequential:
    """Convolution and batch norm, or a bias; Xavier, as the paper says of its new layers."""
    batch = norm == "batch"
    layer = nn.Conv2d(before, after, kernel, stride, (kernel - 1) // 2, bias=not batch)
    nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layer, *([nn.BatchNorm2d(after)] if batch else []))


class Branch(nn.Module):
    """One level brought to stride 16: strided 3x3 convolutions down, a transposed one up."""

    def __init__(self, channels: int, level: int, last: nn.Module, norm: FusionNorm) -> None:
        super().__init__()
        steps: list[nn.Module] = []
        for _ in range(max(0, STRIDE_16 - level)):
            steps += [conv(channels, channels, 3, 2, norm=norm), nn.ReLU(inplace=True)]
        for _ in range(max(0, level - STRIDE_16)):
            up = nn.ConvTranspose2d(channels, channels, 4, 2, 1, groups=channels, bias=False)
            nn.init.constant_(up.weight, 0.25)
            steps += [up, nn.BatchNorm2d(channels)] if norm == "batch" else [up]
            steps += [nn.ReLU(inplace=True)]
        self.resize = nn.Sequential(*steps)
        self.last = last

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        return self.last(self.resize(x))


class MultilevelFusion(Neck):
    """MFN: branches B2 to B5 at the resolution of R4 and of one width, concatenated.

    ``placement`` of the 1x1 convolution: ``before`` the concatenation, in each branch; one
    ``after`` it; ``hyper``: 5x5 ones in each branch, as HyperNet has.

    ``norm="batch"``: batch norms, and a ReLU behind the fusion; for batches of 16 images or so.
    ``norm="none"``: for the few images of a detector, whose statistics say more of the image than
    of the defect. The fused map then starts as what Faster R-CNN has: B4 passes R4 on, and the
    other levels are added quietly.
    """

    def __init__(
        self,
        channels: Sequence[int],
        *,
        width: int,
        levels: Sequence[int] = (2, 3, 4, 5),
        placement: Placement = "before",
        norm: FusionNorm = "batch",
    ) -> None:
        super().__init__()
        self.levels = tuple(level - 2 for level in levels)
        self.out = width * len(self.levels)
        self.branches = nn.ModuleList()
        for level in self.levels:
            c = channels[level]
            last: nn.Module = nn.Identity()
            if placement != "after":
                last = conv(c, width, 5 if placement == "hyper" else 1, norm=norm)
                if norm == "none" and STRIDE_16 in self.levels:
                    _quiet(last, level)
            self.branches.append(Branch(c, level, last, norm))
        self.join: nn.Module = nn.Identity()
        if placement == "after":
            self.join = conv(sum(channels[level] for level in self.levels), self.out, norm=norm)
        self.act: nn.Module = nn.ReLU() if norm == "batch" else nn.Identity()

    def forward(self, maps: Maps) -> list[Float[Tensor, "b d h w"]]:
        """The multilevel feature, as the one map of a list."""
        size = maps[STRIDE_16].shape[-2:]
        parts = [branch(maps[i]) for i, branch in zip(self.levels, self.branches, strict=True)]
        parts = [_fitted(part, (size[0], size[1])) for part in parts]
        return [self.act(self.join(torch.cat(parts, 1)))]


def _quiet(layer: nn.Module, level: int) -> None:
    """R4 passes as it is, up to the width; what the other levels add is small at first."""
    weight = next(layer.parameters())
    if level == STRIDE_16:
        nn.init.dirac_(weight)
    else:
        nn.init.xavier_uniform_(weight, QUIET)


class Single(Neck):
    """One map of the backbone, as it is: ``level`` 4 or 5."""

    def __init__(self, channels: Sequence[int], *, level: int) -> None:
        super().__init__()
        self.level, self.out = level - 2, channels[level - 2]

    def forward(self, maps: Maps) -> list[Float[Tensor, "b d h w"]]:
        return [maps[self.level]]


class Pyramid(Neck):
    """Feature pyramid (arXiv:1612.03144): top-down, 3x3 behind each sum, and a coarser map."""

    def __init__(self, channels: Sequence[int], *, width: int) -> None:
        super().__init__()
        self.out = width
        self.inner = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.outer = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in channels)
        for layer in [*self.inner, *self.outer]:
            nn.init.kaiming_uniform_(layer.weight, a=1)
            nn.init.zeros_(layer.bias)

    def forward(self, maps: Maps) -> list[Float[Tensor, "b d _ _"]]:
        sums: list[Tensor] = []
        for x, inner in zip(reversed(list(maps)), reversed(list(self.inner)), strict=True):
            own = inner(x)
            if sums:
                own = own + F.interpolate(sums[-1], size=own.shape[-2:], mode="nearest")
            sums.append(own)
        levels = [outer(x) for outer, x in zip(self.outer, reversed(sums), strict=True)]
        return [*levels, F.max_pool2d(levels[-1], 1, 2, 0)]


class Hyper(Neck):
    """Hyper feature (arXiv:1604.00600): a fine, a middle and a coarse map at the middle's size.

    5x5 convolutions to 42 channels, local response normalisation, concatenation.
    """

    def __init__(self, channels: Sequence[int], *, width: int = 42) -> None:
        super().__init__()
        self.out = 3 * width
        up = nn.ConvTranspose2d(channels[3], width, 8, 4, 2)
        self.fine = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(channels[0], width, 5, padding=2))
        self.middle = nn.Conv2d(channels[1], width, 5, padding=2)
        self.coarse = nn.Sequential(up, nn.Conv2d(width, width, 5, padding=2))
        self.norm = nn.LocalResponseNorm(5)

    def forward(self, maps: Maps) -> list[Float[Tensor, "b d h w"]]:
        size = (maps[1].shape[-2], maps[1].shape[-1])
        parts = [self.fine(maps[0]), self.middle(maps[1]), self.coarse(maps[3])]
        return [torch.cat([self.norm(F.relu(_fitted(part, size))) for part in parts], 1)]


def _fitted(x: Float[Tensor, "b c _ _"], size: tuple[int, int]) -> Float[Tensor, "b c h w"]:
    """The map cut, or continued by its border, to a size that differs by rounding."""
    h, w = x.shape[-2:]
    if (h, w) == size:
        return x
    x = F.pad(x, (0, max(0, size[1] - w), 0, max(0, size[0] - h)), mode="replicate")
    return x[..., : size[0], : size[1]]
