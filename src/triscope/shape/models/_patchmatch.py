"""The stage of PatchmatchNet: hypotheses, propagation, evaluation (section 3 of the paper).

Grids are normalised for pixel centres at the corners and read with ``align_corners=False`` where
the published code does so: its weights were trained that way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

FIRST_SAMPLES = 48  # hypotheses of the very first iteration


class ConvBnReLU(nn.Module):
    """Convolution without bias, batch norm, ReLU, with the published names."""

    def __init__(self, before: int, after: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(after)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k i j"]:
        return F.relu(self.bn(self.conv(x)))


class Point3d(nn.Module):
    """The same with a 1x1x1 convolution."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(before, after, 1, bias=False)
        self.bn = nn.BatchNorm3d(after)

    def forward(self, x: Float[Tensor, "b c d h w"]) -> Float[Tensor, "b k d h w"]:
        return F.relu(self.bn(self.conv(x)))


class Similarity(nn.Module):
    """Groups of correlations to one number, by three 1x1x1 convolutions."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.conv0, self.conv1 = Point3d(groups, 16), Point3d(16, 8)
        self.similarity = nn.Conv3d(8, 1, 1)

    def forward(self, x: Float[Tensor, "b g d h w"]) -> Float[Tensor, "b d h w"]:
        return self.similarity(self.conv1(self.conv0(x)))[:, 0]


class PixelwiseNet(nn.Module):
    """The weight of a source at each pixel: its best similarity over the hypotheses."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.conv0, self.conv1 = Point3d(groups, 16), Point3d(16, 8)
        self.conv2 = nn.Conv3d(8, 1, 1)

    def forward(self, x: Float[Tensor, "b g d h w"]) -> Float[Tensor, "b 1 h w"]:
        return torch.sigmoid(self.conv2(self.conv1(self.conv0(x)))[:, 0]).amax(1, keepdim=True)


class Evaluation(nn.Module):
    """Group-wise correlation over the sources, and its aggregation over neighbours."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.pixel_wise_net = PixelwiseNet(groups)
        self.similarity_net = Similarity(groups)

    def forward(
        self,
        views: Views,
        depths: Float[Tensor, "1 d h w"],
        grid: Float[Tensor, "1 m w 2"],
        weight: Float[Tensor, "1 d n h w"],
        view_weights: Float[Tensor, "1 s h w"] | None,
    ) -> tuple[Float[Tensor, "1 d h w"], Float[Tensor, "1 s h w"]]:
        """Probabilities of the hypotheses, and the weights of the sources."""
        total: Any = 0.0
        weights, sum_of_weights = [], torch.full_like(depths[:, :1], 1e-5)[:, None]
        reference = self._grouped(views.reference[:, :, None])  # (1, g, c/g, 1, h, w)
        for i, source in enumerate(views.sources):
            other = warped_hypotheses(source, views.turn[i], views.shift[i], depths)
            similar = (self._grouped(other) * reference).mean(2)  # (1, g, d, h, w)
            known = view_weights is not None
            one = view_weights[:, i : i + 1] if known else self.pixel_wise_net(similar)  # type: ignore[index]
            weights.append(one)
            total = total + similar * one[:, None]
            sum_of_weights = sum_of_weights + one[:, None]
        scores = self.similarity_net(total / sum_of_weights)
        n = weight.shape[2]
        near = split(sampled(scores, grid), n)  # (1, d, n, h, w)
        return torch.softmax((near * weight).sum(2), 1), torch.cat(weights, 1)

    def _grouped(self, x: Float[Tensor, "1 c d h w"]) -> Float[Tensor, "1 g k d h w"]:
        return x.reshape(1, self.groups, -1, *x.shape[2:])


@dataclass(frozen=True, eq=False)
class Views:
    """Features at one scale, and where pixels at a depth land: ``turn @ (x, y, 1) d + shift``."""

    reference: Tensor  # (1, c, h, w)
    sources: list[Tensor]  # each (1, c, h, w)
    turn: Tensor  # (s, 3, 3)
    shift: Tensor  # (s, 3)


class PatchMatch(nn.Module):
    """All iterations at one scale."""

    def __init__(
        self,
        *,
        features: int,
        groups: int,
        dilation: int,
        iterations: int,
        samples: int,
        interval: float,
        propagate: int,
        evaluate: int = 9,
        last: bool = False,
    ) -> None:
        super().__init__()
        self.dilation, self.iterations, self.samples = dilation, iterations, samples
        self.interval, self.last, self.groups = interval, last, groups
        self.spreads = propagate > 0 and not last  # the finest scale only evaluates
        self.propa_conv = _offsets(features, max(2 * propagate, 1), dilation)
        self.eval_conv = _offsets(features, 2 * evaluate, dilation)
        self.places = {"propagate": _ring(dilation, propagate), "evaluate": _square(dilation - 1)}
        self.feature_weight_net = Similarity(groups)
        self.evaluation = Evaluation(groups)

    def forward(
        self,
        views: Views,
        ends: tuple[float, float],
        depth: Float[Tensor, "1 1 h w"] | None,
        view_weights: Float[Tensor, "1 s h w"] | None,
        generator: torch.Generator | None,
    ) -> tuple[Float[Tensor, "1 1 h w"], Float[Tensor, "1 d h w"], Float[Tensor, "1 s h w"]]:
        """Depth, probabilities of the last hypotheses, weights of the sources."""
        reference = views.reference
        grid = moved_grid(self.eval_conv(reference), self.places["evaluate"])
        ring = None
        if self.spreads:
            ring = moved_grid(self.propa_conv(reference), self.places["propagate"])
        like_centre = self._feature_weight(reference, grid)
        for turn in range(self.iterations):
            depths = self._hypotheses(reference, ends, depth, generator)
            if ring is not None:
                depths = propagated(depths, ring)
            near = depth_weight(depths, ends, grid, self.interval, like_centre.shape[1])
            weight = near * like_centre[:, None]
            weight = weight / weight.sum(2, keepdim=True)
            share, view_weights = self.evaluation(views, depths, grid, weight, view_weights)
            final = self.last and turn == self.iterations - 1
            depth = (_inverse_mean if final else _mean)(depths, share)
        assert depth is not None and view_weights is not None
        return depth, share, view_weights

    def _hypotheses(
        self,
        reference: Tensor,
        ends: tuple[float, float],
        depth: Tensor | None,
        generator: torch.Generator | None,
    ) -> Float[Tensor, "1 d h w"]:
        """Random in 48 slices of 1/depth at first, then evenly around the depth so far."""
        low, high = 1 / ends[1], 1 / ends[0]
        h, w = reference.shape[-2:]
        device = reference.device
        if depth is None:
            chance = torch.rand((1, FIRST_SAMPLES, h, w), generator=generator, device=device)
            slices = torch.arange(FIRST_SAMPLES, device=device).view(1, -1, 1, 1)
            return 1 / (low + (chance + slices) / FIRST_SAMPLES * (high - low))
        n = self.samples
        if n == 1:
            return depth
        steps = torch.arange(-n // 2, n // 2, device=device).view(1, n, 1, 1)
        return 1 / (1 / depth + (high - low) * self.interval * steps).clamp(low, high)

    def _feature_weight(self, reference: Tensor, grid: Tensor) -> Float[Tensor, "1 n h w"]:
        """How alike the feature of each neighbour is to the one of its pixel."""
        h = reference.shape[-2]
        near = split(sampled(reference, grid), grid.shape[1] // h)  # (1, c, n, h, w)
        product = near * reference[:, :, None]
        return torch.sigmoid(
            self.feature_weight_net(product.reshape(1, self.groups, -1, *product.shape[2:]).mean(2))
        )


def warped_hypotheses(
    source: Float[Tensor, "1 c i j"],
    turn: Float[Tensor, "3 3"],
    shift: Float[Tensor, "3"],
    depths: Float[Tensor, "1 d h w"],
) -> Float[Tensor, "1 c d h w"]:
    """A source at each hypothesis of each pixel; points behind it lie outside."""
    n, h, w = depths.shape[1:]
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    rays = torch.stack([x, y, torch.ones_like(x)]).to(depths).flatten(1)  # (3, hw)
    p = (turn @ rays)[:, None] * depths.view(1, n, h * w) + shift.view(3, 1, 1)
    behind = p[2] <= 1e-3
    z = torch.where(behind, 1.0, p[2])
    u, v = torch.where(behind, float(w), p[0]) / z, torch.where(behind, float(h), p[1]) / z
    grid = torch.stack([u / ((w - 1) / 2) - 1, v / ((h - 1) / 2) - 1], -1).view(1, n * h, w, 2)
    moved = F.grid_sample(source, grid, padding_mode="zeros", align_corners=True)
    return split(moved, n)


def moved_grid(
    offsets: Float[Tensor, "1 k h w"], places: tuple[tuple[int, int], ...]
) -> Float[Tensor, "1 m w 2"]:
    """The neighbours of all pixels, moved by the learned offsets, as a grid of m = n h rows."""
    h, w = offsets.shape[-2:]
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    moves = offsets.reshape(1, -1, 2, h, w)  # (1, n, 2, h, w): x, then y
    fixed = torch.tensor(places, dtype=offsets.dtype, device=offsets.device)[:, :, None, None]
    u = x.to(offsets) + fixed[None, :, 1] + moves[:, :, 0]
    v = y.to(offsets) + fixed[None, :, 0] + moves[:, :, 1]
    grid = torch.stack([u / ((w - 1) / 2) - 1, v / ((h - 1) / 2) - 1], -1)  # (1, n, h, w, 2)
    return grid.flatten(1, 2)


def sampled(x: Float[Tensor, "1 c h w"], grid: Float[Tensor, "1 m k 2"]) -> Any:
    """Bilinear values, continued by the border: (1, c, m, k)."""
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def split(x: Float[Tensor, "1 c m w"], n: int) -> Float[Tensor, "1 c n h w"]:
    """Rows of n maps below each other, as n maps."""
    return x.reshape(*x.shape[:2], n, -1, x.shape[3])


def propagated(
    depths: Float[Tensor, "1 d h w"], ring: Float[Tensor, "1 m w 2"]
) -> Float[Tensor, "1 e h w"]:
    """The hypotheses and those of the neighbours, sorted."""
    n = depths.shape[1]
    h = depths.shape[2]
    others = split(sampled(depths[:, n // 2 : n // 2 + 1], ring), ring.shape[1] // h)[:, 0]
    return torch.cat([depths, others], 1).sort(1).values


def depth_weight(
    depths: Float[Tensor, "1 d h w"],
    ends: tuple[float, float],
    grid: Float[Tensor, "1 m w 2"],
    interval: float,
    neighbours: int,
) -> Float[Tensor, "1 d n h w"]:
    """How near the hypothesis of each neighbour is, in steps of the interval."""
    low, high = 1 / ends[1], 1 / ends[0]
    place = (1 / depths - low) / (high - low)
    near = split(sampled(place, grid), neighbours)
    steps = (near - place[:, :, None]).abs() / interval
    return torch.sigmoid(4 - 2 * steps.clamp(0, 4))


def _mean(depths: Tensor, share: Tensor) -> Tensor:
    return (depths * share).sum(1, keepdim=True)


def _inverse_mean(depths: Tensor, share: Tensor) -> Tensor:
    """The expected index, read between the ends in 1/depth."""
    n = depths.shape[1]
    index = (torch.arange(n, device=depths.device).view(1, n, 1, 1) * share).sum(1, keepdim=True)
    first, last = 1 / depths[:, :1], 1 / depths[:, -1:]
    return 1 / (first + index / (n - 1) * (last - first))


def _offsets(features: int, outputs: int, dilation: int) -> nn.Conv2d:
    conv = nn.Conv2d(features, outputs, 3, padding=dilation, dilation=dilation)
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def _square(step: int) -> tuple[tuple[int, int], ...]:
    """Rows and columns of the nine places of a 3x3 window."""
    return tuple((y * step, x * step) for y in (-1, 0, 1) for x in (-1, 0, 1))


def _ring(step: int, number: int) -> tuple[tuple[int, int], ...]:
    """Eight places around the centre; for 16, eight more at twice the distance."""
    inner = tuple(place for place in _square(step) if place != (0, 0))
    return inner if number <= 8 else inner + tuple((2 * y, 2 * x) for y, x in inner)
