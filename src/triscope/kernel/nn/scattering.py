"""Wavelet scattering: feature maps from fixed filters, without any weights (arXiv:1203.1513).

Bruna, Mallat: Invariant Scattering Convolution Networks, PAMI 2013.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.errors import BadSettings

_ANGLES = 6


class Scattering(nn.Module):
    """Two feature maps, at strides 4 and 8, from the moduli of Morlet wavelets."""

    bank0: Tensor
    bank1: Tensor

    def __init__(self, layers: Sequence[int] = ()) -> None:
        super().__init__()
        layers = tuple(sorted(set(layers))) or (0, 1)
        if not set(layers) <= {0, 1}:
            raise BadSettings(f"layers={layers}: scattering has the layers 0 and 1.")
        self.layers = layers
        self.channels = tuple(2 * _ANGLES + 3 for _ in layers)
        self.strides = tuple((4, 8)[i] for i in layers)
        for scale in (0, 1):
            self.register_buffer(f"bank{scale}", _bank(4.0 * 2**scale))
        self.requires_grad_(False)
        self.eval()

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Images in [0, 1] -> a map (b, channels[i], h / strides[i], w / strides[i]) a layer."""
        grey = images.mean(1, keepdim=True)
        first = _modulus(grey, self.bank0)
        second = _modulus(F.avg_pool2d(grey, 2), self.bank0)
        fine = F.avg_pool2d(first, 4)
        coarse = F.avg_pool2d(second, 2)
        colour = F.avg_pool2d(images, 4)
        level = torch.cat([fine, coarse, colour], 1)
        maps = (level, F.avg_pool2d(level, 2))
        return [maps[i] for i in self.layers]


def _modulus(grey: Tensor, bank: Tensor) -> Tensor:
    reach = bank.shape[-1] // 2
    answer = F.conv2d(F.pad(grey, (reach,) * 4, mode="reflect"), bank)
    real, imaginary = answer.chunk(2, dim=1)
    # Above 1e-8: the ONNX exporter takes smaller constants for zero and drops the addition.
    return (real.square() + imaginary.square() + 2e-8).sqrt()


def _bank(wavelength: float) -> Tensor:
    """Morlet wavelets (2 * angles, 1, k, k): real parts, then imaginary parts, zero mean."""
    sigma = wavelength / 2
    reach = math.ceil(2.5 * sigma)
    y, x = torch.meshgrid(*(torch.arange(-reach, reach + 1.0),) * 2, indexing="ij")
    envelope = torch.exp(-(x.square() + y.square()) / (2 * sigma**2))
    envelope /= envelope.sum()
    waves = []
    for part in (torch.cos, torch.sin):
        for i in range(_ANGLES):
            angle = math.pi * i / _ANGLES
            wave = part(2 * math.pi / wavelength * (x * math.cos(angle) + y * math.sin(angle)))
            waves.append(envelope * (wave - (envelope * wave).sum()))
    return torch.stack(waves)[:, None]
