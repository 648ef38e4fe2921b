"""The two feature networks of MVSNet and R-MVSNet: an image to 32 channels at a quarter size."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from triscope.shape.models._layers import Same2d, conv_bn, conv_gn, deconv_gn, padded_to

CHANNELS, SCALE = 32, 4


class UNetDS2GN(nn.Module):
    """The U-Net with group norm that the released code uses for both networks.

    The names of the layers are those of the code: level, then place in the level.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1_0 = conv_gn(3, 16, stride=2)
        self.conv2_0 = conv_gn(16, 32, stride=2)
        self.conv3_0 = conv_gn(32, 64, stride=2)
        self.conv4_0 = conv_gn(64, 128, stride=2)
        for level, (before, width) in enumerate(((3, 8), (16, 16), (32, 32), (64, 64), (128, 128))):
            self.add_module(f"conv{level}_1", conv_gn(before, width))
            self.add_module(f"conv{level}_2", conv_gn(width, width))
        for level, width in ((5, 64), (6, 32), (7, 16), (8, 8)):
            self.add_module(f"conv{level}_0", deconv_gn(2 * width, width))
            self.add_module(f"conv{level}_1", conv_gn(2 * width, width))
            self.add_module(f"conv{level}_2", conv_gn(width, width))
        self.conv9_0 = conv_gn(8, 16, kernel=5, stride=2)
        self.conv9_1 = conv_gn(16, 16)
        self.conv9_2 = conv_gn(16, 16)
        self.conv10_0 = conv_gn(16, 32, kernel=5, stride=2)
        self.conv10_1 = conv_gn(32, 32)
        self.conv10_2 = Same2d(32, 32)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 32 i j"]:
        """Standardised images of any size -> features at ceil(h/4), ceil(w/4)."""
        rows, columns = (-(-side // SCALE) for side in images.shape[-2:])
        x = padded_to(images, 16)
        skips = []
        for level in range(5):
            if level:
                x = self.get_submodule(f"conv{level}_0")(x)
            one = self.get_submodule(f"conv{level}_1")(x)
            skips.append(self.get_submodule(f"conv{level}_2")(one))
        y = skips.pop()  # (b, 128, h/16, w/16)
        for level in (5, 6, 7, 8):
            up = self.get_submodule(f"conv{level}_0")(y)
            one = self.get_submodule(f"conv{level}_1")(torch.cat([up, skips.pop()], 1))
            y = self.get_submodule(f"conv{level}_2")(one)
        y = self.conv9_2(self.conv9_1(self.conv9_0(y)))  # (b, 16, h/2, w/2)
        y = self.conv10_2(self.conv10_1(self.conv10_0(y)))  # (b, 32, h/4, w/4)
        return y[..., :rows, :columns]


class UniNetDS2(nn.Sequential):
    """The eight layers that both papers describe (section 3.1), with batch norm."""

    def __init__(self) -> None:
        super().__init__(
            conv_bn(3, 8),
            conv_bn(8, 8),
            conv_bn(8, 16, kernel=5, stride=2),
            conv_bn(16, 16),
            conv_bn(16, 16),
            conv_bn(16, 32, kernel=5, stride=2),
            conv_bn(32, 32),
            Same2d(32, 32),
        )
