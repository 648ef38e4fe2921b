"""PatchCore: the distance of each patch to the nearest good patch in a memory (arXiv:2106.08265).

Roth, Pemula, Zepeda, Schölkopf, Brox, Gehler: Towards Total Recall in Industrial Anomaly Detection,
CVPR 2022. Named difference from the paper: patches are watched as a stream into a memory with a
ceiling, and the greedy choice of the bank is exact for what the memory holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from triscope.errors import NotFitted
from triscope.kernel.catalogue import model
from triscope.kernel.config import require
from triscope.kernel.nn.tap import tap
from triscope.surface.memory import PROGRAM, Memory
from triscope.surface.models._patches import (
    TABLE,
    Enlarged,
    Patches,
    cross,
    features_of,
    places_of,
    restore_parts,
    rows_of,
    views,
    weights_of,
)

CLOSE = 0.01  # of the own square: below it a squared distance of products loses three digits


@dataclass(frozen=True)
class Settings:
    """The numbers of section 4.1, where nothing else is said."""

    size: int = 256  # side of the square that images are resized to, in pixels
    backbone: str = "scattering"  # scattering (needs no download) or any timm name
    weights: str = ""  # file of the backbone's weights; empty: the hub or none needed
    layers: tuple[int, ...] = ()  # taps of the backbone; empty: strides 8 and 16
    dims: int = 0  # random projection of the patch features to so many numbers; 0: none
    keep: float = 0.01  # share of the patches that the bank keeps (paper: 0.01 to 0.25)
    rows: int = 16384  # patches in the bank at most, whatever keep says; 0: no limit
    memory: int = 1_500_000_000  # bytes that the fit may hold, 900 MB of them the program's
    reserve: float = 8.0  # patches kept for later learning and forgetting, in banks
    neighbours: int = 9  # of the nearest patch, that re-weight the score (eq. 7); 1: no weight
    sigma: float = 4.0  # of the Gaussian blur of the heat map, in pixels; 0: none
    rotations: tuple[float, ...] = ()  # angles in degrees at which good images are watched too
    colour: float = 0.0  # good images are watched brighter, darker and tinted by this share too
    seed: int = 0  # of the random projection

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        require(
            self,
            size=(self.size >= 32, "32 or more"),
            dims=(self.dims >= 0, "0 or more"),
            keep=(0 < self.keep <= 1, "a share in (0, 1]"),
            rows=(self.rows >= 0, "0 or more"),
            memory=(self.memory > PROGRAM, f"more than {PROGRAM} bytes"),
            reserve=(self.reserve >= 1, "1 or more"),
            neighbours=(self.neighbours >= 1, "1 or more"),
            sigma=(self.sigma >= 0, "0 or more"),
            colour=(0 <= self.colour < 1, "a share in [0, 1)"),
        )


@model("patchcore", answers="Heatmap")
class PatchCore:
    """How far each patch is from all good patches."""

    def __init__(self, settings: Settings = Settings()) -> None:
        self.settings = settings
        s = settings
        self.patches = Patches(
            tap(s.backbone, s.weights, s.layers), reach=3, dims=s.dims, seed=s.seed
        )
        self.memory = Memory(self.patches.dims, s.memory - PROGRAM)

    @torch.no_grad()
    def watch(self, images: Float[Tensor, "b 3 h w"], ids: Int[Tensor, "b"]) -> None:
        """Remember the patches of good images, and of their turned and tinted views."""
        for seen in views(images, self.settings.rotations, self.settings.colour):
            for part, features in features_of(self.patches, seen):
                self.memory.add(rows_of(features), ids[part])

    def settle(self) -> None:
        """Choose the bank from what was watched, farthest first (algorithm 1)."""
        if not self.memory.held:
            raise NotFitted("patchcore has watched no images: watch() good images first.")
        count = math.ceil(self.settings.keep * self.memory.total)
        self.memory.choose(min(count, self.settings.rows or count), self.settings.reserve)

    def forget(self, ids: Int[Tensor, "k"]) -> None:
        """Drop all patches of these images; ``settle`` chooses the bank anew from the others."""
        self.memory.forget(ids)

    def graph(self) -> nn.Module:
        """Images in, heat map and score out; NotFitted before settle()."""
        if not len(self.memory.bank):
            raise NotFitted("patchcore has no bank yet: call fit() with good images first.")
        return _Graph(self.patches, self.memory.bank, self.settings).eval()

    def weights(self) -> dict[str, Tensor]:
        """The backbone, the bank and the memory that later learning goes on from."""
        return weights_of(self.patches, memory=self.memory.state())

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Put the result of ``weights`` back."""
        restore_parts("patchcore", weights, self.patches, memory=self.memory)


class _Graph(nn.Module):
    """The distance of each patch to the bank, enlarged; the score is the largest, re-weighted."""

    def __init__(self, patches: Patches, bank: Float[Tensor, "m d"], settings: Settings) -> None:
        super().__init__()
        self.patches = patches
        places = places_of(patches, settings.size)
        self.nearest = Nearest(bank, math.prod(places))
        self.enlarged = Enlarged(places, (settings.size,) * 2, settings.sigma)
        self.neighbours = min(settings.neighbours, len(bank))

    def forward(
        self, images: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "b h w"], Float[Tensor, "b"]]:
        features = self.patches(images)  # (b, d, i, j)
        rows = rows_of(features)  # (b, n, d)
        gaps = self.nearest(rows.flatten(0, 1)).unflatten(0, (-1, rows.shape[1]))  # (b, n)
        heat = self.enlarged(gaps.unflatten(1, features.shape[2:]), images.shape[2:])
        score, worst = gaps.max(1)  # (b,)
        if self.neighbours == 1:
            return heat, score
        patch = rows.gather(1, worst.view(-1, 1, 1).expand(-1, 1, rows.shape[2])).squeeze(1)
        return heat, score * self.nearest.weight(patch, self.neighbours)


class Nearest(nn.Module):
    """Distances to the nearest of many rows, by products of matrices in blocks of rows.

    |x - y|^2 = |x|^2 - 2 x y + |y|^2; the blocks bound what is held at a time. For a patch that
    lies in the bank that is rounding alone, and differs between engines: such patches, few in a
    part that was never seen, are measured again by the difference itself.
    """

    bank: Tensor
    mean: Tensor

    def __init__(self, bank: Float[Tensor, "m d"], places: int) -> None:
        super().__init__()
        self.block = max(256, min(len(bank), TABLE // places))
        mean = bank.float().mean(0)
        # Centred, numbers are small, and the difference of squares loses less.
        self.register_buffer("mean", mean)
        self.register_buffer("bank", (bank.float() - mean).half())

    def forward(self, rows: Float[Tensor, "n d"]) -> Float[Tensor, "n"]:
        rows = rows - self.mean
        own = rows.square().sum(1)
        gaps = torch.stack([cross(rows, part).amin(1) for part in self._parts()]).amin(0) + own
        close = torch.nonzero(gaps < CLOSE * own).squeeze(1)
        gaps = gaps.index_put((close,), self._again(rows[close]))
        return gaps.clamp_min(0).sqrt()

    def _again(self, rows: Float[Tensor, "n d"]) -> Float[Tensor, "n"]:
        """Squared distances by the differences to the rows that the products choose."""
        least = torch.full_like(rows[:, 0], math.inf)
        for part in self._parts():
            near = part[cross(rows, part).argmin(1)]
            least = torch.minimum(least, (rows - near).square().sum(1))
        return least

    def weight(self, patch: Float[Tensor, "b d"], neighbours: int) -> Float[Tensor, "b"]:
        """1 - exp(|p - m*|) / sum over the neighbours m of m* of exp(|p - m|) (eq. 7)."""
        patch = patch - self.mean
        own = patch.square().sum(1, keepdim=True)  # (b, 1)
        near = torch.cat([cross(patch, part) for part in self._parts()], 1)
        star = self.bank[near.argmin(1)].float()  # (b, d)
        around = torch.cat([cross(star, part) for part in self._parts()], 1)
        chosen = around.topk(neighbours, largest=False).indices  # (b, k), m* itself included
        gaps = (near.gather(1, chosen) + own).clamp_min(0).sqrt()
        nearest = (near.amin(1, keepdim=True) + own).clamp_min(0).sqrt()
        highest = gaps.amax(1, keepdim=True)
        share = (nearest - highest).exp() / (gaps - highest).exp().sum(1, keepdim=True)
        return 1 - share.squeeze(1)

    def _parts(self) -> Iterator[Float[Tensor, "m d"]]:
        for part in torch.split(self.bank, self.block):
            yield part.float()
