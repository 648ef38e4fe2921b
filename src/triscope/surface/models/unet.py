"""U-Net on the stages of a pretrained backbone: defects pixel by pixel, arXiv:1505.04597."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.kernel.catalogue import model
from triscope.kernel.config import require
from triscope.kernel.nn.stages import Stages, stages
from triscope.surface.models import _segmentation
from triscope.surface.models._distillation import conv

LARGER = 6.0  # factor of the last layer


@dataclass(frozen=True)
class Settings(_segmentation.Settings):
    """What U-Net is told."""

    widths: tuple[int, ...] = (128, 64, 48, 32, 16)  # of the way up, at strides 16 to 1
    balance: bool = True  # draw images of each class, and good ones, equally often

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        super().__post_init__()
        require(self, widths=(len(self.widths) == 5 and min(self.widths) > 0, "five, above 0"))


class Up(nn.Module):
    """Twice the size, joined with the map of that size on the way down, two convolutions."""

    def __init__(self, before: int, skip: int, after: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(conv(before + skip, after), conv(after, after))

    def forward(
        self, x: Float[Tensor, "b c i j"], skip: Float[Tensor, "b d h w"]
    ) -> Float[Tensor, "b e h w"]:
        x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
        return self.convs(torch.cat([x, skip], 1))


class Head(nn.Conv2d):
    """The last layer, its answer made larger.

    So it keeps up at the rates that suit a pretrained backbone, at which its own weights would take
    hundreds of updates to become sure.
    """

    def __init__(self, before: int, classes: int, kernel: int) -> None:
        super().__init__(before, classes, kernel)
        assert self.bias is not None
        nn.init.constant_(self.bias, -3.0 / LARGER)  # defects are rare

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        return LARGER * super().forward(x)


class Network(nn.Module):
    """Down by the backbone, up by the decoder; the finest two levels are of the image itself."""

    def __init__(self, body: Stages, widths: Sequence[int], classes: int) -> None:
        super().__init__()
        self.stages = body
        fine, half = widths[4], widths[3]
        self.fine = conv(3, fine)
        self.halved = conv(fine, half, stride=2)
        skips = [*body.channels[2::-1], half, fine]  # strides 16, 8, 4, 2, 1
        before = [body.channels[3], *widths[:-1]]
        ups = [Up(b, s, a) for b, s, a in zip(before, skips, widths, strict=True)]
        self.ups = nn.ModuleList(ups)
        self.head = Head(fine, classes, 1)

    def features(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """The maps on the way up, coarse to fine."""
        if self.training:  # as the weights of what is trained lie
            images = images.contiguous(memory_format=torch.channels_last)
        fine = self.fine(images - 0.5)
        levels = self.stages(images)
        skips = [*levels[2::-1], self.halved(fine), fine]
        x, found = levels[3], []
        for up, skip in zip(self.ups, skips, strict=True):
            x = up(x, skip)
            found.append(x)
        return found

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c h w"]:
        return self.head(self.features(images)[-1])


@model("unet", answers="Masks")
class UNet(_segmentation.Segmenter):
    """Encoder, decoder and the paths between them."""

    def __init__(self, settings: Settings = Settings()) -> None:
        super().__init__(settings)

    def build(self, classes: int) -> nn.Module:
        """The network on the backbone of the settings."""
        settings = self.settings
        body = stages(settings.backbone, settings.weights, settings.norm)
        return Network(body, settings.widths, classes)
