"""BN-Inception (arXiv:1502.03167, appendix) under its Caffe names: `tsn` and `eco` stand on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

Image = Float[Tensor, "b c h w"]

# block: 1x1, 3x3 (reduce, out), double 3x3 (reduce, out, out), pool projection; 0 is absent.
# Blocks without 1x1 halve the size, pass the maximum through and have no projection.
TABLE: dict[str, tuple[int, tuple[int, int], tuple[int, int, int], int]] = {
    "3a": (64, (64, 64), (64, 96, 96), 32),
    "3b": (64, (64, 96), (64, 96, 96), 64),
    "3c": (0, (128, 160), (64, 96, 96), 0),
    "4a": (224, (64, 96), (96, 128, 128), 128),
    "4b": (192, (96, 128), (96, 128, 128), 128),
    "4c": (160, (128, 160), (128, 160, 160), 128),
    "4d": (96, (128, 192), (160, 192, 192), 128),
    "4e": (0, (128, 192), (192, 256, 256), 0),
    "5a": (352, (192, 320), (160, 224, 224), 128),
    "5b": (352, (192, 320), (192, 224, 224), 128),
}
Pool = Literal["mean", "max"]


class Units(nn.Module):
    """Convolutions with their normalisation, reached by their published names."""

    def unit(self, name: str, wide_in: int, wide: int, size: int, stride: int = 1) -> int:
        """Add convolution ``name`` and normalisation ``name_bn``; answers the new width."""
        self.add_module(name, nn.Conv2d(wide_in, wide, size, stride, size // 2))
        self.add_module(f"{name}_bn", nn.BatchNorm2d(wide))
        return wide

    def run(self, name: str, x: Image) -> Float[Tensor, "b d i j"]:
        """Convolution, normalisation, ReLU."""
        return F.relu(getattr(self, f"{name}_bn")(getattr(self, name)(x)))


class BNInception(Units):
    """Images to the map of the last block (1024 channels, 1/32 of the size).

    ``until="3c_double_3x3_1"`` stops at the map (96 channels, 1/8) that ECO goes on from.
    """

    def __init__(self, channels: int = 3, *, until: str = "") -> None:
        super().__init__()
        self.until = until
        self.unit("conv1_7x7_s2", channels, 64, 7, 2)
        self.unit("conv2_3x3_reduce", 64, 64, 1)
        wide = self.unit("conv2_3x3", 64, 192, 3)
        for block, (single, three, double, projection) in TABLE.items():
            name, halves = f"inception_{block}", not single
            parts = []
            if until and block == until[:2]:
                self._double(name, wide, double[:2], 1)
                break
            if single:
                parts.append(self.unit(f"{name}_1x1", wide, single, 1))
            self.unit(f"{name}_3x3_reduce", wide, three[0], 1)
            parts.append(self.unit(f"{name}_3x3", three[0], three[1], 3, 2 if halves else 1))
            parts.append(self._double(name, wide, double, 2 if halves else 1))
            pooled = self.unit(f"{name}_pool_proj", wide, projection, 1) if projection else wide
            wide = sum(parts) + pooled
        self.width = wide

    def _double(self, name: str, wide: int, sizes: Sequence[int], stride: int) -> int:
        self.unit(f"{name}_double_3x3_reduce", wide, sizes[0], 1)
        self.unit(f"{name}_double_3x3_1", sizes[0], sizes[1], 3)
        if len(sizes) > 2:
            self.unit(f"{name}_double_3x3_2", sizes[1], sizes[2], 3, stride)
        return sizes[-1]

    def forward(self, images: Image) -> tuple[Float[Tensor, "b d i j"], Float[Tensor, "b e k l"]]:
        """The last map, and the one that ECO takes (the same where the network stops there)."""
        x = self.run("conv1_7x7_s2", images)
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)  # Caffe's pools keep the rest at the border
        x = self.run("conv2_3x3", self.run("conv2_3x3_reduce", x))
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        middle = x
        for block in TABLE:
            name = f"inception_{block}"
            if block == "3c":
                first = self.run(f"{name}_double_3x3_reduce", x)
                middle = self.run(f"{name}_double_3x3_1", first)
                if self.until:
                    return middle, middle
            x = self._block(block, x, middle if block == "3c" else None)
        return x, middle

    def _block(self, block: str, x: Image, half_done: Tensor | None) -> Tensor:
        name, parts = f"inception_{block}", []
        single = TABLE[block][0]
        if single:
            parts.append(self.run(f"{name}_1x1", x))
        parts.append(self.run(f"{name}_3x3", self.run(f"{name}_3x3_reduce", x)))
        if half_done is None:
            reduced = self.run(f"{name}_double_3x3_reduce", x)
            half_done = self.run(f"{name}_double_3x3_1", reduced)
        parts.append(self.run(f"{name}_double_3x3_2", half_done))
        if not single:
            parts.append(F.max_pool2d(x, 3, 2, ceil_mode=True))
        else:
            kind = F.max_pool2d if block == "5b" else F.avg_pool2d
            parts.append(self.run(f"{name}_pool_proj", kind(x, 3, 1, 1, ceil_mode=True)))
        return torch.cat(parts, dim=1)
