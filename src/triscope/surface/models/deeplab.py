"""DeepLabv3+: context at several rates, borders from a fine level, arXiv:1802.02611."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from triscope.kernel.catalogue import model
from triscope.kernel.config import require
from triscope.kernel.nn.stages import Stages, stages
from triscope.surface.models import _segmentation
from triscope.surface.models._distillation import conv, resized


@dataclass(frozen=True)
class Settings(_segmentation.Settings):
    """What DeepLab is told."""

    width: int = 256  # channels of the context and of the decoder
    low: int = 48  # channels that the fine level is reduced to
    rates: tuple[int, ...] = (6, 12, 18)  # of the dilated convolutions, at stride 16
    balance: bool = True  # draw images of each class, and good ones, equally often

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        super().__post_init__()
        require(
            self,
            width=(self.width >= 1, "1 or more"),
            low=(self.low >= 1, "1 or more"),
            rates=(bool(self.rates) and min(self.rates) >= 1, "rates of 1 or more"),
        )


class Context(nn.Module):
    """Atrous spatial pyramid pooling: 1x1, dilated 3x3 at several rates, and the whole image."""

    def __init__(self, before: int, width: int, rates: Sequence[int]) -> None:
        super().__init__()
        self.point = conv(before, width, 1)
        self.dilated = nn.ModuleList(_separable(before, width, rate) for rate in rates)
        self.whole = nn.Sequential(nn.Conv2d(before, width, 1), nn.ReLU(inplace=True))
        self.join = nn.Sequential(conv(width * (2 + len(rates)), width, 1), nn.Dropout(0.1))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        whole = self.whole(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[-2:])
        parts = [self.point(x), *(branch(x) for branch in self.dilated), whole]
        return self.join(torch.cat(parts, 1))


class Network(nn.Module):
    """Backbone to stride 16 (the last stage is dilated), context, decoder at stride 4."""

    def __init__(self, body: Stages, settings: Settings, classes: int) -> None:
        super().__init__()
        self.stages = body
        _dilate(body.parts[3])
        self.context = Context(body.channels[3], settings.width, settings.rates)
        self.low = conv(body.channels[0], settings.low, 1)
        self.decoder = nn.Sequential(
            _separable(settings.width + settings.low, settings.width, 1),
            _separable(settings.width, settings.width, 1),
        )
        self.head = nn.Conv2d(settings.width, classes, 1)
        assert self.head.bias is not None
        nn.init.constant_(self.head.bias, -3.0)  # defects are rare

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c h w"]:
        levels = self.stages(images)
        low = self.low(levels[0])  # (b, 48, h/4, w/4)
        x = resized(self.context(levels[3]), low.shape[-2:])
        x = self.decoder(torch.cat([x, low], 1))
        return resized(self.head(x), images.shape[-2:])


@model("deeplab", answers="Masks")
class DeepLab(_segmentation.Segmenter):
    """For defects that only their surroundings explain."""

    def __init__(self, settings: Settings = Settings()) -> None:
        super().__init__(settings)

    def build(self, classes: int) -> nn.Module:
        """The network on the backbone of the settings."""
        settings = self.settings
        body = stages(settings.backbone, settings.weights, settings.norm)
        return Network(body, settings, classes)


def _separable(before: int, after: int, rate: int) -> nn.Sequential:
    """A depthwise 3x3 and a 1x1 convolution, each with batch norm and ReLU (section 3.1)."""
    depthwise = nn.Conv2d(before, before, 3, 1, rate, rate, before, bias=False)
    return nn.Sequential(
        depthwise, nn.BatchNorm2d(before), nn.ReLU(inplace=True), *conv(before, after, 1)
    )


def _dilate(stage: nn.Module) -> None:
    """The stage keeps its resolution: its stride becomes a dilation of the convolutions in it."""
    for module in stage.modules():
        if isinstance(module, nn.Conv2d):
            k = module.kernel_size[0]
            if max(module.stride) > 1:
                module.stride = (1, 1)
            elif k > 1:
                module.dilation = (2, 2)
                module.padding = ((k - 1), (k - 1))
        elif isinstance(module, nn.AvgPool2d | nn.MaxPool2d):
            module.stride, module.kernel_size, module.padding = 1, 1, 0
