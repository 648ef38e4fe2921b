"""Convolutions with the borders of TensorFlow, and the normalised blocks of MVSNet.

"SAME" with stride 2 pads the end before the start: on an even side, a kernel of 3 pads (0, 1) and a
kernel of 5 pads (1, 2). The symmetric padding usual in PyTorch shifts each such layer by a pixel.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class Same2d(nn.Conv2d):
    """2-D convolution, padded as TensorFlow's "SAME"; (b, c, h, w) -> (b, d, ceil(h/s), ...)."""

    def __init__(
        self, before: int, after: int, kernel: int = 3, stride: int = 1, bias: bool = False
    ) -> None:
        super().__init__(before, after, kernel, stride, bias=bias)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        kernel, stride = self.kernel_size[0], self.stride[0]
        top, bottom = same_padding(x.shape[-2], kernel, stride)
        left, right = same_padding(x.shape[-1], kernel, stride)
        return super().forward(F.pad(x, (left, right, top, bottom)))


class SameTransposed2d(nn.ConvTranspose2d):
    """Transposed convolution of stride 2: unpadded, cropped at the end to twice the size."""

    def __init__(self, before: int, after: int, kernel: int = 3) -> None:
        super().__init__(before, after, kernel, 2, bias=False)

    def forward(  # type: ignore[override]
        self, x: Float[Tensor, "b c h w"]
    ) -> Float[Tensor, "b d i j"]:
        h, w = x.shape[-2:]
        return super().forward(x)[..., : 2 * h, : 2 * w]


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after one side, as TensorFlow's "SAME" puts them."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def group_norm(channels: int, group: int = 8) -> nn.GroupNorm:
    """Group norm with ``group`` channels in each group (facts of the released code)."""
    return nn.GroupNorm(max(1, channels // group), channels)


def conv_gn(before: int, after: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution without bias, group norm, ReLU."""
    return nn.Sequential(
        Same2d(before, after, kernel, stride), group_norm(after), nn.ReLU(inplace=True)
    )


def deconv_gn(before: int, after: int, kernel: int = 3) -> nn.Sequential:
    """Transposed convolution of stride 2 and group norm; no ReLU follows in the released code."""
    return nn.Sequential(SameTransposed2d(before, after, kernel), group_norm(after))


def conv_bn(before: int, after: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution without bias, batch norm, ReLU."""
    return nn.Sequential(
        Same2d(before, after, kernel, stride), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )


def padded_to(x: Float[Tensor, "b c h w"], multiple: int) -> Float[Tensor, "b c i j"]:
    """The map continued to the right and below by its last pixels, to multiples of ``multiple``."""
    h, w = x.shape[-2:]
    right, below = -w % multiple, -h % multiple
    if not right and not below:
        return x
    return F.pad(x, (0, right, 0, below), mode="replicate")
