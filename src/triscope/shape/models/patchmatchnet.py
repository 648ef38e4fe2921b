"""PatchmatchNet: learned propagation and evaluation of hypotheses (arXiv:2012.01411).

Wang, Galliani, Vogel, Speciale, Pollefeys: PatchmatchNet: Learned Multi-View Patchmatch Stereo,
CVPR 2021. The depth has the size of the image; hypotheses start at random, from a seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.kernel.catalogue import model, published
from triscope.kernel.nn.published import load_published
from triscope.kernel.results import Depth
from triscope.shape.check import MakesShapeChecks
from triscope.shape.golden import Golden
from triscope.shape.models._patchmatch import ConvBnReLU, PatchMatch, Views
from triscope.shape.stereo import read_weights


@dataclass(frozen=True)
class Settings(Golden):
    """What is left to choose; the rest is in the weights."""

    weights: str = ""  # file of weights; empty: the official ones (DTU)
    seed: int = 0  # of the first hypotheses


# Per scale, from half size to an eighth: the published numbers.
STAGES: tuple[dict[str, Any], ...] = (
    {"features": 16, "groups": 4, "dilation": 6, "iterations": 1, "samples": 8, "interval": 0.005,
     "propagate": 0, "last": True},
    {"features": 32, "groups": 8, "dilation": 4, "iterations": 2, "samples": 8, "interval": 0.0125,
     "propagate": 8},
    {"features": 64, "groups": 8, "dilation": 2, "iterations": 2, "samples": 16, "interval": 0.025,
     "propagate": 16},
)  # fmt: skip


class FeatureNet(nn.Module):
    """A feature pyramid: 16, 32 and 64 channels at a half, a quarter and an eighth."""

    def __init__(self) -> None:
        super().__init__()
        layers = ((3, 8), (8, 8), (8, 16), (16, 16), (16, 16), (16, 32), (32, 32), (32, 32),
                  (32, 64), (64, 64), (64, 64))  # fmt: skip
        for i, (before, after) in enumerate(layers):
            down = i in (2, 5, 8)
            self.add_module(f"conv{i}", ConvBnReLU(before, after, 5 if down else 3, 1 + down))
        self.output1 = nn.Conv2d(64, 64, 1, bias=False)
        self.inner1, self.inner2 = nn.Conv2d(32, 64, 1), nn.Conv2d(16, 64, 1)
        self.output2 = nn.Conv2d(64, 32, 1, bias=False)
        self.output3 = nn.Conv2d(64, 16, 1, bias=False)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """Finest first."""
        x, kept = image, []
        for i in range(11):
            x = self.get_submodule(f"conv{i}")(x)
            if i in (4, 7):
                kept.append(x)
        eighth = self.output1(x)
        x = _doubled(x) + self.inner1(kept[1])
        quarter = self.output2(x)
        half = self.output3(_doubled(x) + self.inner2(kept[0]))
        return [half, quarter, eighth]


class Refinement(nn.Module):
    """From half to full size: a residual from the image and the depth scaled to [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv0, self.conv1 = ConvBnReLU(3, 8), ConvBnReLU(1, 8)
        self.conv2 = ConvBnReLU(8, 8)
        self.deconv = nn.ConvTranspose2d(8, 8, 3, 2, 1, output_padding=1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.conv3 = ConvBnReLU(16, 8)
        self.res = nn.Conv2d(8, 1, 3, padding=1, bias=False)

    def forward(
        self,
        image: Float[Tensor, "1 3 h w"],
        depth: Float[Tensor, "1 1 i j"],
        near: float,
        far: float,
    ) -> Float[Tensor, "1 1 h w"]:
        unit = (depth - near) / (far - near)
        up = F.relu(self.bn(self.deconv(self.conv2(self.conv1(unit)))))
        residual = self.res(self.conv3(torch.cat([up, self.conv0(image)], 1)))
        return (F.interpolate(unit, scale_factor=2) + residual) * (far - near) + near


class PatchmatchNet(nn.Module):
    """The published network."""

    def __init__(self) -> None:
        super().__init__()
        self.feature = FeatureNet()
        for i, stage in enumerate(STAGES, 1):
            self.add_module(f"patchmatch_{i}", PatchMatch(**stage))
        self.upsample_net = Refinement()

    def forward(
        self, images: Float[Tensor, "n 3 h w"], K: Any, cam_T_world: Any, depths: Any
    ) -> tuple[Tensor, Float[Tensor, "h w"]]:
        """Index of the plane of ``depths`` nearest to the depth (int64), and the confidence.

        As published: images are RGB in [0, 1], the reference first; ``K`` belongs to their size
        and has pixel centres at integers. :meth:`depth` answers the raw depth.
        """
        planes = np.sort(np.asarray(depths, np.float64))
        depth, confidence = self.depth(images, K, cam_T_world, planes[0], planes[-1])
        table = torch.as_tensor(np.asarray(depths), dtype=depth.dtype, device=depth.device)
        return (depth[..., None] - table).abs().argmin(-1), confidence

    @torch.no_grad()
    def depth(
        self,
        images: Float[Tensor, "n 3 h w"],
        K: Any,
        cam_T_world: Any,
        near: float,
        far: float,
        seed: int = 0,
    ) -> tuple[Float[Tensor, "h w"], Float[Tensor, "h w"]]:
        """Depth and confidence at the size of the images, between ``near`` and ``far``."""
        resized, K = to_multiples_of_8(images, np.array(K, np.float64))
        levels = [self.feature(image[None]) for image in resized]
        size = (images.shape[-2], images.shape[-1])
        ends = (float(near), float(far))
        return self.from_levels(resized[:1], levels, K, cam_T_world, ends, size, seed)

    def from_levels(
        self,
        image: Float[Tensor, "1 3 i j"],
        levels: Sequence[list[Tensor]],
        K: Any,
        cam_T_world: Any,
        ends: tuple[float, float],
        size: tuple[int, int],
        seed: int,
    ) -> tuple[Float[Tensor, "h w"], Float[Tensor, "h w"]]:
        """The same from the feature pyramids of all views and the image of the reference."""
        generator = torch.Generator(device=image.device).manual_seed(seed)
        depth = weights = share = None
        for i in (2, 1, 0):
            views = _views([level[i] for level in levels], K, cam_T_world, 0.5 ** (i + 1))
            stage = self.get_submodule(f"patchmatch_{i + 1}")
            depth, share, weights = stage(views, ends, depth, weights, generator)
            if i:
                depth = F.interpolate(depth, scale_factor=2)
                weights = F.interpolate(weights, scale_factor=2)
        assert depth is not None and share is not None
        full = self.upsample_net(image, depth, *ends)
        if full.shape[-2:] != size:
            full = F.interpolate(full, size, mode="bilinear", align_corners=False)
        return full[0, 0], F.interpolate(confidence(share), size)[0, 0]


def confidence(share: Float[Tensor, "1 d h w"]) -> Float[Tensor, "1 1 h w"]:
    """The probability of the four hypotheses about the expected one."""
    n = share.shape[1]
    four = 4 * F.avg_pool3d(F.pad(share[:, None], (0, 0, 0, 0, 1, 2)), (4, 1, 1), 1)[:, 0]
    numbers = torch.arange(n, dtype=share.dtype, device=share.device).view(1, n, 1, 1)
    index = (share * numbers).sum(1, keepdim=True).long().clamp(0, n - 1)
    return four.gather(1, index)


def to_multiples_of_8(
    images: Float[Tensor, "n 3 h w"], K: Any
) -> tuple[Float[Tensor, "n 3 i j"], Any]:
    """Images stretched to multiples of 8, and K with them, as the published code does it."""
    h, w = images.shape[-2:]
    rows, columns = max(8, round(h / 8) * 8), max(8, round(w / 8) * 8)
    if (rows, columns) == (h, w):
        return images, K
    K[:, 0] *= columns / w
    K[:, 1] *= rows / h
    size = (rows, columns)
    return F.interpolate(images, size, mode="bilinear", align_corners=False), K


@model("patchmatchnet", answers="Depth")
class Patchmatchnet(MakesShapeChecks):
    """Depth at the size of the image."""

    def __init__(
        self, settings: Settings = Settings(), network: PatchmatchNet | None = None
    ) -> None:
        self.settings = settings
        if network is None:
            network = build("patchmatchnet", read_weights("patchmatchnet", settings.weights))
        self._network = network.eval()

    def network(self) -> PatchmatchNet:
        """The network."""
        return self._network

    @torch.no_grad()
    def prepare(self, image: Any) -> _Prepared:
        """The image in [0, 1], stretched to multiples of 8, and its feature pyramid."""
        plain = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None] / 255.0
        stretched, change = to_multiples_of_8(plain, np.eye(3)[None])
        return _Prepared(stretched, self._network.feature(stretched), change[0], image.shape[:2])

    @torch.no_grad()
    def match(self, prepared: Sequence[Any], K: Any, cam_T_world: Any, depths: Any) -> Depth:
        """See :class:`triscope.shape.stereo.Stereo`; the ends of ``depths`` are the range."""
        stretched = np.stack([p.change @ one for p, one in zip(prepared, K, strict=True)])
        ends = (float(np.min(depths)), float(np.max(depths)))
        values, share = self._network.from_levels(
            prepared[0].image,
            [p.levels for p in prepared],
            stretched,
            cam_T_world,
            ends,
            prepared[0].size,
            self.settings.seed,
        )
        values = values.clamp(*ends)
        return Depth(values.numpy(), share.clamp(0, 1).numpy(), np.array(K, np.float64)[0])


@dataclass(frozen=True, eq=False)
class _Prepared:
    image: Tensor
    levels: list[Tensor]
    change: Any  # (3, 3): K of the stretched image is change @ K
    size: tuple[int, int]


@published("patchmatchnet")
def build(name: str, state_dict: Mapping[str, Any]) -> PatchmatchNet:
    """The network with the published weights (the whole checkpoint or its ``model``)."""
    tensors = state_dict.get("model", state_dict)
    plain = {key.removeprefix("module."): value for key, value in tensors.items()}
    return load_published(name, PatchmatchNet(), plain)


def _views(features: list[Tensor], K: Any, cam_T_world: Any, scale: float) -> Views:
    """The published projections: K scaled without moving its centre, whole poses inverted."""
    projections = np.array(cam_T_world, np.float64)
    scaled = np.array(K, np.float64)
    scaled[:, :2] *= scale
    projections[:, :3] = scaled @ projections[:, :3]
    relative = projections[1:] @ np.linalg.inv(projections[0])
    like = features[0]
    return Views(
        like,
        features[1:],
        torch.as_tensor(relative[:, :3, :3]).to(like),
        torch.as_tensor(relative[:, :3, 3]).to(like),
    )


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
