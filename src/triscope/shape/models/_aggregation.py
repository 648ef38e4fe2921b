"""Features of AA-RMVSNet: three scales, each through a modulated deformable convolution."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.shape.models._layers import group_norm


def conv(before: int, after: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution with bias, padded on all sides alike, group norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, stride, kernel // 2),
        group_norm(after),
        nn.ReLU(inplace=True),
    )


class Deformable(nn.Module):
    """Modulated deformable 3x3 convolution: nine learned offsets and weights a pixel.

    The published offsets hold nine rows, then nine columns; the operator wants them in pairs.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, 3)
        self.p_conv = nn.Conv2d(before, 18, 3, padding=1)
        self.m_conv = nn.Conv2d(before, 9, 3, padding=1)
        nn.init.zeros_(self.p_conv.weight)
        nn.init.zeros_(self.m_conv.weight)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        from torchvision.ops import deform_conv2d

        rows, columns = self.p_conv(x).chunk(2, 1)
        offsets = torch.stack([rows, columns], 2).flatten(1, 2)  # (b, 18, h, w)
        mask = torch.sigmoid(self.m_conv(x))
        return deform_conv2d(x, offsets, self.conv.weight, self.conv.bias, padding=1, mask=mask)


def deformable(channels: int) -> nn.Sequential:
    """The deformable convolution, group norm, ReLU."""
    return nn.Sequential(
        Deformable(channels, channels), group_norm(channels), nn.ReLU(inplace=True)
    )


class IntraView(nn.Module):
    """Section 3.2: the three scales, adapted, narrowed and brought to the largest."""

    def __init__(self) -> None:
        super().__init__()
        for level, width in enumerate((16, 8, 8)):
            self.add_module(f"deformconv{level}", deformable(32))
            self.add_module(f"conv{level}", conv(32, width, kernel=1))

    def forward(self, levels: list[Tensor]) -> Float[Tensor, "b 32 h w"]:
        maps = []
        for i, level in enumerate(levels):
            y = self.get_submodule(f"conv{i}")(self.get_submodule(f"deformconv{i}")(level))
            maps.append(
                F.interpolate(y, scale_factor=2**i, mode="bilinear", align_corners=True) if i else y
            )
        return torch.cat(maps, 1)


class FeatNet(nn.Module):
    """Images (b, 3, h, w), sides multiples of 4 -> features (b, 32, h, w) at the same size."""

    def __init__(self) -> None:
        super().__init__()
        self.init_conv = nn.Sequential(conv(3, 8), conv(8, 16))
        self.conv0 = conv(16, 32)
        self.conv1 = conv(32, 32, stride=2)
        self.conv2 = conv(32, 32, stride=2)
        self.intraAA = IntraView()

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 32 h w"]:
        x0 = self.conv0(self.init_conv(images))
        x1 = self.conv1(x0)
        return self.intraAA([x0, x1, self.conv2(x1)])


class Residual(nn.Module):
    """Two 1x1 convolutions around a skip, with the published names."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            conv(channels, channels, kernel=1),
            nn.Conv2d(channels, channels, 1),
            group_norm(channels),
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return F.relu(self.stem(x) + x)


class InterView(nn.Module):
    """Section 3.3: how much a source counts at each pixel, from its squared difference."""

    def __init__(self) -> None:
        super().__init__()
        self.reweight_network = nn.Sequential(
            conv(32, 4), Residual(4), nn.Conv2d(4, 1, 1), nn.Sigmoid()
        )

    def forward(self, difference: Float[Tensor, "s 32 h w"]) -> Float[Tensor, "s 1 h w"]:
        return self.reweight_network(difference)
