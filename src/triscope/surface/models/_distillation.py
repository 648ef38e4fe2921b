"""What the models that compare a student with a teacher share."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.errors import NotFitted, WeightsMismatch


class Parts(nn.ModuleDict):
    """The networks of one model by name; the frozen ones never leave eval mode.

    ``learned_batches`` counts what was learned from: it is 0 before the training and travels with
    the weights.
    """

    learned_batches: Tensor

    def __init__(
        self, *, frozen: Mapping[str, nn.Module], learned: Mapping[str, nn.Module]
    ) -> None:
        super().__init__({**frozen, **learned})
        self.frozen = tuple(frozen)
        for name in self.frozen:
            self[name].requires_grad_(False)
        self.register_buffer("learned_batches", torch.zeros((), dtype=torch.int64))
        self.eval()

    def train(self, mode: bool = True) -> Parts:
        """Training mode for the parts that learn."""
        super().train(mode)
        for name in self.frozen:
            self[name].eval()
        return self

    def must_be_trained(self, name: str) -> None:
        """Raise NotFitted where nothing was learned yet."""
        if not int(self.learned_batches):
            raise NotFitted(f"{name} has not been trained: call fit() with good images first.")

    def weights(self) -> dict[str, Tensor]:
        """Copies of all parameters and buffers, on the CPU, each in its own memory."""
        return {k: v.detach().cpu().clone().contiguous() for k, v in self.state_dict().items()}

    def restore(self, name: str, weights: Mapping[str, Tensor]) -> None:
        """Put the result of ``weights`` back; WeightsMismatch names the first keys that differ."""
        own = self.state_dict()
        wrong = sorted(own.keys() ^ weights.keys())
        wrong += [k for k in own.keys() & weights.keys() if own[k].shape != weights[k].shape]
        if wrong:
            raise WeightsMismatch(
                f"these weights are not of this {name}: {len(wrong)} keys or shapes differ, first "
                f"{', '.join(wrong[:3])}. Build the model with the settings that it was saved with."
            )
        self.load_state_dict(dict(weights))
        self.eval()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Initial weights come from this seed; the caller's random numbers are left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def resized(maps: Float[Tensor, "b c h w"], size: Sequence[int]) -> Float[Tensor, "b c H W"]:
    """Bilinear, by pixel centres; the same tensor where the size is right already."""
    if maps.shape[-2:] == tuple(size):
        return maps
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


def highest(heat: Float[Tensor, "b h w"]) -> Float[Tensor, "b"]:
    """The highest value of each map, the score of its image."""
    return heat.flatten(1).amax(1)


class Blur(nn.Module):
    """Gaussian blur, cut off at 4 sigma; the border is continued with its last value."""

    kernel: Tensor

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.reach = math.ceil(4 * sigma)
        places = torch.arange(-self.reach, self.reach + 1, dtype=torch.float64)
        bell = torch.exp(-0.5 * (places / max(sigma, 1e-9)) ** 2)
        self.register_buffer("kernel", (bell / bell.sum()).float(), persistent=False)

    def forward(self, heat: Float[Tensor, "b h w"]) -> Float[Tensor, "b h w"]:
        if not self.reach:
            return heat
        r, maps = self.reach, heat.unsqueeze(1)
        maps = F.conv2d(F.pad(maps, (r, r, 0, 0), "replicate"), self.kernel.view(1, 1, 1, -1))
        maps = F.conv2d(F.pad(maps, (0, 0, r, r), "replicate"), self.kernel.view(1, 1, -1, 1))
        return maps.squeeze(1)


def conv(before: int, after: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU; the size shrinks by the stride, rounded up."""
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, stride, (kernel - 1) // 2, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """The basic residual block of ResNet (He et al. 2016, section 3.3), any stride."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.first = conv(before, after, 3, stride)
        self.second = nn.Sequential(
            nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after)
        )
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.skip = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        return F.relu(self.second(self.first(x)) + self.skip(x))


def halvings(ratio: float) -> int:
    """How many strides of 2 come nearest to a ratio of sizes, at least 0."""
    return max(0, round(math.log2(ratio)))
