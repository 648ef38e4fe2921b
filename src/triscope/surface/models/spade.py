"""SPADE: each place against the patches of the most similar good images (arXiv:2005.02357).

Cohen, Hoshen: Sub-Image Anomaly Detection with Deep Pyramid Correspondences, 2020. Named
differences from the paper: of each good image a share of the patches is kept, farthest first, and
the score is the maximum of the heat map where ``score="map"``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from triscope.errors import NotFitted
from triscope.kernel.catalogue import model
from triscope.kernel.config import require
from triscope.kernel.nn.tap import tap
from triscope.surface.gallery import Gallery
from triscope.surface.memory import PROGRAM
from triscope.surface.models._distillation import highest
from triscope.surface.models._patches import (
    TABLE,
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
    """The numbers of section 4.1, where nothing else is said."""

    size: int = 256  # side of the square that images are resized to, in pixels
    backbone: str = "scattering"  # scattering (needs no download) or any timm name
    weights: str = ""  # file of the backbone's weights; empty: the hub or none needed
    layers: tuple[int, ...] = ()  # taps of the backbone; empty: strides 8 and 16
    nearest: int = 50  # good images that an image is compared with (K)
    keep: float = 0.1  # share of the patches of a good image that are kept (paper: 1)
    score: Literal["map", "images"] = "map"  # maximum of the map, or (paper) distance to K images
    memory: int = 1_500_000_000  # bytes that the fit may hold, 900 MB of them the program's
    sigma: float = 4.0  # of the Gaussian blur of the heat map, in pixels; 0: none
    rotations: tuple[float, ...] = ()  # angles in degrees at which good images are watched too
    colour: float = 0.0  # good images are watched brighter, darker and tinted by this share too

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        require(
            self,
            size=(self.size >= 32, "32 or more"),
            nearest=(self.nearest >= 1, "1 or more"),
            keep=(0 < self.keep <= 1, "a share in (0, 1]"),
            memory=(self.memory > PROGRAM, f"more than {PROGRAM} bytes"),
            sigma=(self.sigma >= 0, "0 or more"),
            colour=(0 <= self.colour < 1, "a share in [0, 1)"),
        )


@model("spade", answers="Heatmap")
class Spade:
    """How far each patch is from all patches of the good images that look alike as a whole."""

    def __init__(self, settings: Settings = Settings()) -> None:
        self.settings = settings
        s = settings
        self.patches = Patches(tap(s.backbone, s.weights, s.layers))
        self.places = places_of(self.patches, s.size)
        kept = math.ceil(s.keep * math.prod(self.places))
        self.gallery = Gallery(kept, self.patches.dims, s.memory - PROGRAM)

    @torch.no_grad()
    def watch(self, images: Float[Tensor, "b 3 h w"], ids: Int[Tensor, "b"]) -> None:
        """Put good images, and their turned and tinted views, into the gallery."""
        for seen in views(images, self.settings.rotations, self.settings.colour):
            for part, features in features_of(self.patches, seen):
                self.gallery.add(rows_of(features), ids[part])

    def settle(self) -> None:
        """Nothing is left to compute; NotFitted where nothing was watched."""
        if not self.gallery.looks:
            raise NotFitted("spade has watched no images: watch() good images first.")

    def forget(self, ids: Int[Tensor, "k"]) -> None:
        """Take images out of the gallery."""
        self.gallery.forget(ids)

    def graph(self) -> nn.Module:
        """Images in, heat map and score out; NotFitted with an empty gallery."""
        if not self.gallery.looks:
            raise NotFitted("spade has no gallery yet: call fit() with good images first.")
        return _Graph(self).eval()

    def weights(self) -> dict[str, Tensor]:
        """The backbone and the gallery."""
        return weights_of(self.patches, gallery=self.gallery.state())

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Put the result of ``weights`` back."""
        restore_parts("spade", weights, self.patches, gallery=self.gallery)


class _Graph(nn.Module):
    """K nearest images by mean features, then the nearest of their patches at each place."""

    mean: Tensor
    wholes: Tensor
    gallery: Tensor

    def __init__(self, spade: Spade) -> None:
        super().__init__()
        s = spade.settings
        self.patches, self.score = spade.patches, s.score
        wholes, gallery = spade.gallery.tables()
        mean = wholes.float().mean(0)
        # Centred, numbers are small: rounding does not choose the images, nor the patches.
        self.register_buffer("mean", mean)  # (d,)
        self.register_buffer("wholes", wholes.float() - mean)  # (g, d)
        self.register_buffer("gallery", (gallery.float() - mean).half())  # (g, n, d)
        self.nearest = min(s.nearest, len(wholes))
        self.at_once = max(1, TABLE // (math.prod(spade.places) * gallery.shape[1]))
        self.enlarged = Enlarged(spade.places, (s.size,) * 2, s.sigma)

    def forward(
        self, images: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "b h w"], Float[Tensor, "b"]]:
        features = self.patches(images)  # (b, d, i, j)
        rows = rows_of(features) - self.mean  # (b, p, d)
        whole = rows.mean(1)
        apart = (whole[:, None] - self.wholes).square().sum(2)  # (b, g)
        alike = apart.topk(self.nearest, largest=False)  # (b, k)
        least = torch.full_like(rows[:, :, 0], math.inf)  # (b, p)
        found = torch.zeros_like(least, dtype=torch.int64)
        for chosen in torch.split(alike.indices, self.at_once, 1):
            gap, row = self._nearest(rows, chosen)
            found = torch.where(gap < least, row, found)
            least = torch.minimum(least, gap)
        # Products choose; the difference itself tells how far it is: products lose what is near.
        shown = self.gallery.flatten(0, 1).index_select(0, found.flatten()).float()
        gaps = (rows - shown.reshape(rows.shape)).square().sum(2).sqrt()  # (b, p)
        heat = self.enlarged(gaps.reshape(-1, *features.shape[2:]), images.shape[2:])
        if self.score == "images":
            return heat, alike.values.sqrt().mean(1)
        return heat, highest(heat)

    def _nearest(
        self, rows: Float[Tensor, "b p d"], chosen: Int[Tensor, "b k"]
    ) -> tuple[Float[Tensor, "b p"], Int[Tensor, "b p"]]:
        """Least squared distance to patches of the chosen images, less the own squares; its row."""
        n = self.gallery.shape[1]
        shown = self.gallery.index_select(0, chosen.flatten()).float()  # (b k, n, d)
        shown = shown.reshape(rows.shape[0], -1, rows.shape[2])  # (b, k n, d)
        squares = shown.square().sum(2).unsqueeze(1)  # (b, 1, k n)
        gap, place = (squares - 2 * (rows @ shown.transpose(1, 2))).min(2)  # (b, p)
        image = chosen.gather(1, torch.div(place, n, rounding_mode="floor"))
        return gap, image * n + place % n
