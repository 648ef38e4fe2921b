"""Residual networks of single frames under torchvision's names, with or without shifts in time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.motion.models._resnet3d import BLOCKS

Image = Float[Tensor, "n c h w"]
Wrap = Callable[[nn.Module], nn.Module]


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 with the stride, 1 x 1, and a shortcut."""

    def __init__(self, wide_in: int, inner: int, stride: int = 1, wrap: Wrap | None = None) -> None:
        super().__init__()
        wide = 4 * inner
        first: nn.Module = nn.Conv2d(wide_in, inner, 1, bias=False)
        self.conv1 = wrap(first) if wrap else first
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, wide, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(wide)
        self.downsample: nn.Module | None = None
        if wide_in != wide or stride > 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(wide_in, wide, 1, stride, bias=False), nn.BatchNorm2d(wide)
            )

    def forward(self, x: Image) -> Float[Tensor, "n d i j"]:
        kept = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.relu(self.bn3(self.conv3(x)) + kept)


class ResNet2D(nn.Module):
    """Frames to the map of the last stage (2048 channels, 1/32 of the size).

    ``wrap`` goes around the first convolution of the bottlenecks (a shift in time, say): of each,
    or of every second one where a stage has 23 or more, as published.
    """

    width = 2048

    def __init__(self, *, depth: int = 50, channels: int = 3, wrap: Wrap | None = None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        counts: Sequence[int] = BLOCKS[depth]
        every = 2 if counts[2] >= 23 else 1
        for k, count in enumerate(counts):
            before = 64 if k == 0 else 128 * 2**k
            blocks = [
                Bottleneck(
                    before if i == 0 else 256 * 2**k,
                    64 * 2**k,
                    2 if k and i == 0 else 1,
                    wrap if i % every == 0 else None,
                )
                for i in range(count)
            ]
            self.add_module(f"layer{k + 1}", nn.Sequential(*blocks))

    def forward(self, frames: Image) -> Float[Tensor, "n d i j"]:
        x = F.relu(self.bn1(self.conv1(frames)))
        x = F.max_pool2d(x, 3, 2, 1)
        for k in range(1, 5):
            x = getattr(self, f"layer{k}")(x)
        return x
