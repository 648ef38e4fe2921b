"""MobileNetV2 (arXiv:1801.04381) of single frames under the names that `tsm` publishes."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

Image = Float[Tensor, "n c h w"]
Wrap = Callable[[nn.Module], nn.Module]
# expansion, width, blocks, stride of the first (table 2)
TABLE = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow pads: the odd pixel goes behind."""

    def forward(self, x: Image) -> Float[Tensor, "n d i j"]:
        pads: list[int] = []
        for size, kernel, stride in zip(
            x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True
        ):
            whole = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [whole // 2, whole - whole // 2]
        return F.conv2d(F.pad(x, pads), self.weight, self.bias, self.stride, 0, 1, self.groups)


class InvertedResidual(nn.Module):
    """1 x 1 up, depthwise 3 x 3, 1 x 1 down without ReLU; added to its input where that fits."""

    def __init__(
        self, wide_in: int, wide: int, stride: int, expansion: int, *, same: bool, eps: float
    ) -> None:
        super().__init__()
        inner = wide_in * expansion
        self.residual = stride == 1 and wide_in == wide
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [nn.Conv2d(wide_in, inner, 1, bias=False), *_norm(inner, eps)]
        conv = SameConv2d if same else nn.Conv2d
        layers += [
            conv(inner, inner, 3, stride, 0 if same else 1, groups=inner, bias=False),
            *_norm(inner, eps),
            nn.Conv2d(inner, wide, 1, bias=False),
            nn.BatchNorm2d(wide, eps=eps),
        ]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Image) -> Float[Tensor, "n d i j"]:
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(nn.Module):
    """Frames to the last map (1280 channels, 1/32 of the size).

    ``wrap`` goes around the first convolution of the blocks that expand and have a residual
    connection: ten of them. ``same`` and ``eps=1e-3`` are TensorFlow's way, for its weights.
    """

    width = 1280

    def __init__(
        self,
        *,
        channels: int = 3,
        wrap: Wrap | None = None,
        same: bool = False,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        conv = SameConv2d if same else nn.Conv2d
        first = conv(channels, 32, 3, 2, 0 if same else 1, bias=False)
        features: list[nn.Module] = [nn.Sequential(first, *_norm(32, eps))]
        before = 32
        for expansion, wide, count, stride in TABLE:
            for i in range(count):
                block = InvertedResidual(
                    before, wide, stride if i == 0 else 1, expansion, same=same, eps=eps
                )
                if wrap and block.residual and expansion != 1:
                    block.conv[0] = wrap(block.conv[0])
                features.append(block)
                before = wide
        last = nn.Conv2d(before, self.width, 1, bias=False)
        features.append(nn.Sequential(last, *_norm(self.width, eps)))
        self.features = nn.Sequential(*features)

    def forward(self, frames: Image) -> Float[Tensor, "n d i j"]:
        return self.features(frames)


def _norm(channels: int, eps: float) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels, eps=eps), nn.ReLU6()


def timm_name(key: str) -> str:
    """Our name of a tensor of timm's ``mobilenetv2_100`` (without its classifier)."""
    counts = [count for _, _, count, _ in TABLE]
    for stem, own in (("conv_stem", "0.0"), ("bn1", "0.1"), ("conv_head", "18.0"), ("bn2", "18.1")):
        if key.startswith(f"{stem}."):
            return f"features.{own}.{key.removeprefix(f'{stem}.')}"
    _, stage, block, part, rest = key.split(".", 4)
    number = 1 + sum(counts[: int(stage)]) + int(block)
    wide = {"conv_pw": 0, "bn1": 1, "conv_dw": 3, "bn2": 4, "conv_pwl": 6, "bn3": 7}
    thin = {"conv_dw": 0, "bn1": 1, "conv_pw": 3, "bn2": 4}
    return f"features.{number}.conv.{(thin if stage == '0' else wide)[part]}.{rest}"


def mmaction_name(match: re.Match[str]) -> str:
    """Our name of ``layer2.1.conv.0.net.conv.``: there each convolution holds its norm."""
    stage, block, part, net, kind = match.groups()
    number = 1 + sum(count for _, _, count, _ in TABLE[: int(stage) - 1]) + int(block)
    if kind == "bn":
        return f"features.{number}.conv.{3 * int(part) + 1}."
    return f"features.{number}.conv.{3 * int(part)}.{net or ''}"


def from_timm(
    state: Mapping[str, Tensor], start: str, wrapped: Collection[str] = ()
) -> dict[str, Tensor]:
    """Weights of timm's ``mobilenetv2_100`` under our names, without its classifier.

    ``wrapped`` names the convolutions that stand inside a wrapper (``...conv.0.net``).
    """
    weights = {}
    for key, value in state.items():
        if not key.startswith("classifier."):
            name, _, part = f"{start}{timm_name(key)}".rpartition(".")
            weights[f"{name}.net.{part}" if f"{name}.net" in wrapped else f"{name}.{part}"] = value
    return weights
