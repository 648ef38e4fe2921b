"""What the models that compare patch features share: the features, their views, the heat map."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.errors import WeightsMismatch
from triscope.kernel.nn.tap import Tap
from triscope.surface.models._distillation import resized

AT_ONCE = 2  # images that a backbone sees together while watching
TABLE = 1 << 20  # distances that a graph holds at a time for one image


class Patches(nn.Module):
    """Features of each place: the tap's levels, averaged around it, joined at the finest grid.

    ``reach``: side of the average (PatchCore: 3); ``dims`` > 0: a random projection to so many
    numbers, drawn from ``seed``, which keeps distances up to a factor of about 1 +- dims^-0.5.
    """

    projection: Tensor

    def __init__(self, tap: Tap, *, reach: int = 1, dims: int = 0, seed: int = 0) -> None:
        super().__init__()
        self.tap, self.reach = tap, reach
        given = sum(tap.channels)
        self.dims = dims if 0 < dims < given else given
        if self.dims < given:
            generator = torch.Generator().manual_seed(seed)
            drawn = torch.randn(given, self.dims, generator=generator) / math.sqrt(self.dims)
            self.register_buffer("projection", drawn)
        self.eval()

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d i j"]:
        levels = self.tap(images)
        size = levels[0].shape[-2:]
        side, around = self.reach, self.reach // 2
        if side > 1:  # zeros outside are averaged too, which quiets the border, as published
            levels = [F.avg_pool2d(level, side, 1, around) for level in levels]
        joined = torch.cat([resized(level, size) for level in levels], 1)  # (b, c, i, j)
        if self.dims == joined.shape[1]:
            return joined
        return torch.einsum("bcij,cd->bdij", joined, self.projection)


def rows_of(features: Float[Tensor, "b d i j"]) -> Float[Tensor, "b n d"]:
    """One row a place, places row by row."""
    return features.flatten(2).transpose(1, 2)


def features_of(
    patches: Patches, images: Float[Tensor, "b 3 h w"]
) -> Iterator[tuple[slice, Float[Tensor, "b d i j"]]]:
    """Features of few images at a time, which bounds what the backbone holds."""
    for start in range(0, images.shape[0], AT_ONCE):
        part = slice(start, start + AT_ONCE)
        yield part, patches(images[part])


def places_of(patches: Patches, size: int) -> tuple[int, int]:
    """Places down and across that images of this side have."""
    with torch.no_grad():
        i, j = patches(torch.zeros(1, 3, size, size)).shape[-2:]
    return int(i), int(j)


def cross(rows: Float[Tensor, "n d"], others: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    """Squared distances less the rows' own squares: |y|^2 - 2 x y."""
    return torch.addmm(others.square().sum(1), rows, others.T, alpha=-2)


@runtime_checkable
class Remembers(Protocol):
    """What a model has watched, as tensors and back; ``grows`` have any number of rows."""

    @property
    def grows(self) -> tuple[str, ...]: ...

    def state(self) -> dict[str, Tensor]: ...

    def restore(self, state: Mapping[str, Tensor]) -> None: ...


def weights_of(patches: Patches, **parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of the backbone and of named parts, each with its part's name in front."""
    named = {"patches": patches.state_dict(), **parts}
    return {
        f"{part}.{key}": value.detach().clone()
        for part, tensors in named.items()
        for key, value in tensors.items()
    }


def restore_parts(
    name: str, weights: Mapping[str, Tensor], patches: Patches, **parts: Remembers
) -> None:
    """Put the result of ``weights_of`` back; WeightsMismatch names the first keys that differ."""
    own = weights_of(patches, **{part: memory.state() for part, memory in parts.items()})
    grows = {f"{part}.{key}" for part, memory in parts.items() for key in memory.grows}
    wrong = sorted(own.keys() ^ weights.keys())
    for key in own.keys() & weights.keys():
        start = 1 if key in grows else 0
        if own[key].shape[start:] != weights[key].shape[start:]:
            wrong.append(key)
    if wrong:
        raise WeightsMismatch(
            f"these weights are not of this {name}: {len(wrong)} keys or shapes differ, first "
            f"{', '.join(wrong[:3])}. Build the model with the settings that it was saved with."
        )

    def of(part: str) -> dict[str, Tensor]:
        front = f"{part}."
        return {k.removeprefix(front): v for k, v in weights.items() if k.startswith(front)}

    patches.load_state_dict(of("patches"))
    for part, memory in parts.items():
        memory.restore(of(part))


class Enlarged(nn.Module):
    """A map of places at image size: bilinear by pixel centres, then a Gaussian blur.

    Both are linear and separable, so each side is one matrix (pixels, places).
    """

    down: Tensor
    across: Tensor

    def __init__(self, places: Sequence[int], size: Sequence[int], sigma: float) -> None:
        super().__init__()
        self.places, self.size, self.sigma = tuple(places), tuple(size), sigma
        for name, n, m in zip(("down", "across"), places, size, strict=True):
            self.register_buffer(name, _stretch(n, m, sigma), persistent=False)

    def forward(self, maps: Float[Tensor, "b i j"], size: Sequence[int]) -> Float[Tensor, "b h w"]:
        down, across = self.down, self.across
        if (*maps.shape[1:], *size) != (*self.places, *self.size):
            down, across = (
                _stretch(n, m, self.sigma) for n, m in zip(maps.shape[1:], size, strict=True)
            )
        return down @ maps @ across.T


def _stretch(places: int, pixels: int, sigma: float) -> Float[Tensor, "pixels places"]:
    """Linear interpolation of so many places to pixels, then blur cut off at 4 sigma."""
    lines = F.interpolate(torch.eye(places, dtype=torch.float64)[None], size=pixels, mode="linear")[
        0
    ].T  # (pixels, places)
    reach = math.ceil(4 * sigma)
    if reach:
        steps = torch.arange(-reach, reach + 1, dtype=torch.float64)
        bell = torch.exp(-0.5 * (steps / sigma) ** 2)
        padded = F.pad(lines.T[None], (reach, reach), "replicate")  # (1, places, pixels + 2 reach)
        lines = F.conv1d(padded.transpose(0, 1), (bell / bell.sum()).view(1, 1, -1))[:, 0].T
    return lines.float().contiguous()


def views(
    images: Float[Tensor, "b 3 h w"], rotations: Sequence[float], colour: float
) -> Iterator[Float[Tensor, "b 3 h w"]]:
    """The images, then turned by each angle (degrees), then in other light where ``colour`` > 0.

    For the few-shot case: what a good part may look like when it lies or is lit otherwise.
    """
    turned = [images, *(_turned(images, angle) for angle in rotations)]
    yield from turned
    if colour > 0:
        for tint in ((1, 1, 1), (-1, -1, -1), (1, 0, -1), (-1, 0, 1)):
            gain = 1 + colour * torch.tensor(tint, dtype=images.dtype).view(1, 3, 1, 1)
            yield (images * gain).clamp(0, 1)


def _turned(images: Float[Tensor, "b 3 h w"], angle: float) -> Float[Tensor, "b 3 h w"]:
    """Turned about the centre; corners are filled by reflection. Quarter turns are exact."""
    quarters, rest = divmod(angle % 360, 90)
    h, w = images.shape[-2:]
    if rest == 0 and (h == w or quarters % 2 == 0):
        return torch.rot90(images, int(quarters), (2, 3))
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    matrix = torch.tensor([[c, -s * h / w, 0], [s * w / h, c, 0]], dtype=images.dtype)
    grid = F.affine_grid(matrix.expand(len(images), 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
