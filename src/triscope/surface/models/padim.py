"""PaDiM: a Gaussian of good features at each place, and the distance to it (arXiv:2011.08785).

Defard, Setkov, Loesch, Audigier: PaDiM: a Patch Distribution Modeling Framework for Anomaly
Detection and Localization, ICPR 2021 workshops. Named difference from the paper: the regularisation
is a share of each channel's mean variance, so that it suits features of any scale.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from triscope.errors import BadSettings, NotFitted
from triscope.kernel.catalogue import model
from triscope.kernel.config import require
from triscope.kernel.nn.tap import tap
from triscope.surface.gaussians import Gaussians
from triscope.surface.memory import PROGRAM
from triscope.surface.models._distillation import highest
from triscope.surface.models._patches import (
    Enlarged,
    Patches,
    features_of,
    places_of,
    restore_parts,
    rows_of,
    views,
    weights_of,
)


@dataclass(frozen=True)
class Settings:
    """The numbers of section 4.2, where nothing else is said."""

    size: int = 256  # side of the square that images are resized to, in pixels
    backbone: str = "scattering"  # scattering (needs no download) or any timm name
    weights: str = ""  # file of the backbone's weights; empty: the hub or none needed
    layers: tuple[int, ...] = ()  # taps of the backbone; empty: strides 8 and 16
    channels: int = 100  # drawn at random from all channels (paper: 100 to 550); 0: all
    ridge: float = 0.01  # added to the variances, as a share of their mean over the places
    memory: int = 1_500_000_000  # bytes that the fit may hold, 900 MB of them the program's
    sigma: float = 4.0  # of the Gaussian blur of the heat map, in pixels; 0: none
    rotations: tuple[float, ...] = ()  # angles in degrees at which good images are watched too
    colour: float = 0.0  # good images are watched brighter, darker and tinted by this share too
    seed: int = 0  # of the drawn channels

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        require(
            self,
            size=(self.size >= 32, "32 or more"),
            channels=(self.channels >= 0, "0 or more"),
            ridge=(self.ridge > 0, "a number above 0"),
            memory=(self.memory > PROGRAM, f"more than {PROGRAM} bytes"),
            sigma=(self.sigma >= 0, "0 or more"),
            colour=(0 <= self.colour < 1, "a share in [0, 1)"),
        )


@model("padim", answers="Heatmap")
class Padim:
    """How unlikely the features of each place are, given those of good images at that place."""

    def __init__(self, settings: Settings = Settings()) -> None:
        self.settings = settings
        s = settings
        self.patches = Patches(tap(s.backbone, s.weights, s.layers))
        self.places = places_of(self.patches, s.size)
        given = self.patches.dims
        wanted = min(s.channels or given, given)
        generator = torch.Generator().manual_seed(s.seed)
        self.chosen = torch.randperm(given, generator=generator)[:wanted].sort().values
        self.gaussians = Gaussians(math.prod(self.places), wanted, s.memory - PROGRAM)
        self._changed = True

    @torch.no_grad()
    def watch(self, images: Float[Tensor, "b 3 h w"], ids: Int[Tensor, "b"]) -> None:
        """Add good images, and their turned and tinted views, to the statistics of each place."""
        for seen in views(images, self.settings.rotations, self.settings.colour):
            for part, features in features_of(self.patches, seen):
                self.gaussians.add(rows_of(features[:, self.chosen]), ids[part])
        self._changed = True

    def settle(self) -> None:
        """Check that the Gaussians can be computed: two images or more were watched."""
        if self.gaussians.count < 2:
            raise NotFitted(
                f"padim has watched {self.gaussians.count} images, and a variance needs two: "
                "watch() good images first."
            )
        self._changed = False

    def forget(self, ids: Int[Tensor, "k"]) -> None:
        """Take images out of the sums; BadSettings where their features are not kept any more."""
        self.gaussians.forget(ids)
        self._changed = True

    def graph(self) -> nn.Module:
        """Images in, heat map and score out; NotFitted before settle()."""
        if self._changed:
            raise NotFitted("padim has no Gaussians yet: call fit() with good images first.")
        return _Graph(self).eval()

    def weights(self) -> dict[str, Tensor]:
        """The backbone, the sums, and the features that forgetting needs."""
        return weights_of(self.patches, sums=self.gaussians.state())

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Put the result of ``weights`` back."""
        restore_parts("padim", weights, self.patches, sums=self.gaussians)
        self._changed = self.gaussians.count < 2


class _Graph(nn.Module):
    """Mahalanobis distances (eq. 2), enlarged and blurred; the score is the maximum."""

    chosen: Tensor
    mean: Tensor
    scale: Tensor
    whiten: Tensor

    def __init__(self, padim: Padim) -> None:
        super().__init__()
        s = padim.settings
        self.patches, self.places = padim.patches, padim.places
        mean, scale, whiten = padim.gaussians.whitening(s.ridge)
        self.register_buffer("chosen", padim.chosen)
        self.register_buffer("mean", mean)  # (p, d)
        self.register_buffer("scale", scale)  # (d,)
        self.register_buffer("whiten", whiten)  # (p, d, d)
        self.enlarged = Enlarged(padim.places, (s.size,) * 2, s.sigma)

    def forward(
        self, images: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "b h w"], Float[Tensor, "b"]]:
        features = self.patches(images).index_select(1, self.chosen)  # (b, d, i, j)
        if tuple(features.shape[2:]) != tuple(self.places):
            raise BadSettings(
                f"padim knows {self.places} places, these images have {tuple(features.shape[2:])}: "
                "give images of the size that it was fitted with."
            )
        away = (rows_of(features) - self.mean) * self.scale  # (b, p, d)
        white = away.transpose(0, 1) @ self.whiten.float()  # (p, b, d)
        gaps = white.square().sum(2).sqrt().T  # (b, p)
        heat = self.enlarged(gaps.reshape(-1, *self.places), images.shape[2:])
        return heat, highest(heat)
