"""Changes of brightness, contrast and colour, blur and noise; coordinates stay as they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.kernel.config import require
from triscope.kernel.data.image import FULL
from triscope.kernel.data.transforms.view import View

Generator = np.random.Generator
Range = tuple[float, float]


@dataclass(frozen=True)
class Light:
    """Brightness, contrast and gamma in one table of values."""

    brightness: Range = (0.0, 0.0)  # added, as a share of the full range
    contrast: Range = (1.0, 1.0)  # factor about the middle of the range
    gamma: Range = (1.0, 1.0)  # exponent: above 1 darkens

    def __post_init__(self) -> None:
        require(
            self,
            brightness=(-1 <= self.brightness[0] <= self.brightness[1] <= 1, "shares in [-1, 1]"),
            contrast=(0 <= self.contrast[0] <= self.contrast[1], "(least, most), 0 or more"),
            gamma=(0 < self.gamma[0] <= self.gamma[1], "(least, most), above 0"),
        )

    def __call__(self, view: View, rng: Generator) -> View:
        added, factor = rng.uniform(*self.brightness), rng.uniform(*self.contrast)
        gamma = rng.uniform(*self.gamma)
        full = FULL[view.image.dtype]
        levels = np.arange(full + 1) / full
        changed = ((levels**gamma - 0.5) * factor + 0.5 + added) * full
        return replace(view, image=_looked_up(view.image, _whole(changed, view.image.dtype)))


@dataclass(frozen=True)
class Colour:
    """A tint (a gain a channel) and more or less saturation; grey images stay as they are."""

    gain: Range = (1.0, 1.0)  # drawn for each channel
    saturation: Range = (1.0, 1.0)  # 0 is grey, 1 as it is

    def __post_init__(self) -> None:
        require(
            self,
            gain=(0 <= self.gain[0] <= self.gain[1], "(least, most), 0 or more"),
            saturation=(0 <= self.saturation[0] <= self.saturation[1], "(least, most), 0 or more"),
        )

    def __call__(self, view: View, rng: Generator) -> View:
        gain = rng.uniform(self.gain[0], self.gain[1], 3)
        share = rng.uniform(*self.saturation)
        if view.image.ndim == 2:
            return view
        grey = np.array([0.299, 0.587, 0.114])
        mix = np.diag(gain) @ (share * np.eye(3) + (1 - share) * np.ones((3, 1)) * grey)
        changed = cv2.transform(view.image.astype(np.float32), mix.astype(np.float32))
        return replace(view, image=_whole(changed, view.image.dtype))


@dataclass(frozen=True)
class Blur:
    """Gaussian blur."""

    sigma_px: Range = (0.0, 1.0)  # of the Gaussian; below 0.1 nothing is done

    def __post_init__(self) -> None:
        require(self, sigma_px=(0 <= self.sigma_px[0] <= self.sigma_px[1], "(least, most), >= 0"))

    def __call__(self, view: View, rng: Generator) -> View:
        sigma = rng.uniform(*self.sigma_px)
        if sigma < 0.1:
            return view
        blurred = cv2.GaussianBlur(view.image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
        return replace(view, image=np.asarray(blurred))


@dataclass(frozen=True)
class Noise:
    """Gaussian noise, drawn for each pixel and channel."""

    sigma: Range = (0.0, 0.02)  # as a share of the full range

    def __post_init__(self) -> None:
        require(self, sigma=(0 <= self.sigma[0] <= self.sigma[1], "(least, most), 0 or more"))

    def __call__(self, view: View, rng: Generator) -> View:
        sigma = rng.uniform(*self.sigma) * FULL[view.image.dtype]
        noise = rng.standard_normal(view.image.shape, np.float32) * np.float32(sigma)
        return replace(view, image=_whole(view.image + noise, view.image.dtype))


def _whole(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Rounded and cut to the range of the type."""
    return np.clip(np.rint(values), 0, FULL[dtype]).astype(dtype)


def _looked_up(image: NDArray[Any], table: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(cv2.LUT(image, table)) if image.dtype == np.uint8 else table[image]
