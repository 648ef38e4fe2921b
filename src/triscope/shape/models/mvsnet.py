"""MVSNet: a 3-D U-Net over the whole cost volume and a soft argmin (arXiv:1804.02505).

Yao, Luo, Li, Fang, Quan: MVSNet: Depth Inference for Unstructured Multi-view Stereo, ECCV 2018. Its
memory grows with the number of planes; what the released code normalises by batch statistics also
at test time does so here, so that an answer depends on its own volume only.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.kernel.catalogue import model, published
from triscope.kernel.config import require
from triscope.kernel.nn.published import load_published
from triscope.kernel.results import Depth
from triscope.shape.check import MakesShapeChecks
from triscope.shape.golden import Golden
from triscope.shape.models._features import SCALE, UNetDS2GN
from triscope.shape.models._layers import same_padding
from triscope.shape.models._warp import variance, warped
from triscope.shape.models.rmvsnet import quarter
from triscope.shape.stereo import at_scale, flatness, read_weights, standardised
from triscope.shape.warp import Warp, warp_of

MULTIPLE = 8  # of planes, rows and columns: the U-Net halves three times


@dataclass(frozen=True)
class Settings(Golden):
    """The numbers of section 4."""

    weights: str = ""  # file of weights, as triscope shape train writes it
    refine: bool = False  # whether the weights hold the refinement of section 3.4
    planes: int = 192  # depth planes of the volume

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        super().__post_init__()
        require(self, planes=(self.planes >= 4, "4 or more"))


class Same3d(nn.Conv3d):
    """3-D convolution of kernel 3, padded as TensorFlow's "SAME"."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__(before, after, 3, stride, bias=False)

    def forward(self, x: Float[Tensor, "b c d h w"]) -> Float[Tensor, "b k e i j"]:
        sides = [same_padding(n, 3, self.stride[0]) for n in x.shape[:1:-1]]
        return super().forward(F.pad(x, [n for side in sides for n in side]))


class OwnStatistics3d(nn.BatchNorm3d):
    """Batch norm by the statistics of what it sees, in training and after it."""

    def forward(self, x: Float[Tensor, "b c d h w"]) -> Float[Tensor, "b c d h w"]:
        return F.batch_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps)


class SameTransposed3d(nn.ConvTranspose3d):
    """Transposed convolution of stride 2, cropped at the end to twice the size."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, 3, 2, bias=False)

    def forward(  # type: ignore[override]
        self, x: Float[Tensor, "b c d h w"]
    ) -> Float[Tensor, "b k e i j"]:
        d, h, w = x.shape[2:]
        return super().forward(x)[:, :, : 2 * d, : 2 * h, : 2 * w]


def conv(before: int, after: int, stride: int = 1) -> nn.Sequential:
    """Convolution, norm, ReLU."""
    return nn.Sequential(
        Same3d(before, after, stride), OwnStatistics3d(after), nn.ReLU(inplace=True)
    )


def deconv(before: int, after: int) -> nn.Sequential:
    """Transposed convolution and norm; no ReLU in the released code."""
    return nn.Sequential(SameTransposed3d(before, after), OwnStatistics3d(after))


class RegNetUS0(nn.Module):
    """The 3-D U-Net of section 3.3: three halvings, each level added back on the way up."""

    def __init__(self) -> None:
        super().__init__()
        self.conv0_1 = conv(32, 8)
        self.conv1_0, self.conv1_1 = conv(32, 16, 2), conv(16, 16)
        self.conv2_0, self.conv2_1 = conv(16, 32, 2), conv(32, 32)
        self.conv3_0, self.conv3_1 = conv(32, 64, 2), conv(64, 64)
        self.conv4_0, self.conv5_0, self.conv6_0 = deconv(64, 32), deconv(32, 16), deconv(16, 8)
        self.conv6_2 = Same3d(8, 1)

    def forward(self, volume: Float[Tensor, "b 32 d h w"]) -> Float[Tensor, "b d h w"]:
        """Cost volume of any size -> one regularised cost a voxel."""
        d, h, w = volume.shape[2:]
        padding = (0, -w % MULTIPLE, 0, -h % MULTIPLE, 0, -d % MULTIPLE)
        x = F.pad(volume, padding, mode="replicate") if any(padding) else volume
        half = self.conv1_0(x)
        quarter_ = self.conv2_0(half)
        y = self.conv4_0(self.conv3_1(self.conv3_0(quarter_))) + self.conv2_1(quarter_)
        y = self.conv5_0(y) + self.conv1_1(half)
        y = self.conv6_0(y) + self.conv0_1(x)
        return self.conv6_2(y)[:, 0, :d, :h, :w]


class Refinement(nn.Module):
    """Section 3.4: a residual on the depth, from the image and the depth scaled to [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        widths = (4, 32, 32, 32)
        self.body = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(a, b, 3, padding=1, bias=False),
                    nn.BatchNorm2d(b, affine=False, track_running_stats=False),
                    nn.ReLU(inplace=True),
                )
                for a, b in itertools.pairwise(widths)
            ),
            nn.Conv2d(32, 1, 3, padding=1, bias=False),
        )

    def forward(
        self,
        image: Float[Tensor, "b 3 h w"],
        depth: Float[Tensor, "b i j"],
        ends: tuple[float, ...],
    ) -> Float[Tensor, "b i j"]:
        near, far = ends
        small = F.interpolate(image, depth.shape[-2:], mode="bilinear", align_corners=False)
        unit = (depth[:, None] - near) / (far - near)
        return ((unit + self.body(torch.cat([small, unit], 1))) * (far - near) + near)[:, 0]


class MVSNet(nn.Module):
    """Features, variance volume, U-Net, soft argmin; ``refine`` adds the refinement."""

    def __init__(self, *, refine: bool = False) -> None:
        super().__init__()
        self.feature_extractor = UNetDS2GN()
        self.regulariser = RegNetUS0()
        self.refinement = Refinement() if refine else None

    def forward(
        self, images: Float[Tensor, "n 3 h w"], K: Any, cam_T_world: Any, depths: Any
    ) -> tuple[Tensor, Float[Tensor, "i j"]]:
        """Index of the plane nearest to the expected one (int64), and its probability.

        Input as :class:`triscope.shape.models.rmvsnet.RMVSNet` takes it.
        """
        planes = np.asarray(depths, np.float64)
        features = torch.cat([self.feature_extractor(image[None]) for image in images])
        warp = warp_of(quarter(K), np.asarray(cam_T_world))
        index, probability = expected(self.volume(features, warp, planes).softmax(0))
        return index.round().long(), probability

    def volume(
        self, features: Float[Tensor, "n 32 h w"], warp: Warp, depths: Any
    ) -> Float[Tensor, "d h w"]:
        """The scores (negated regularised costs) of all planes; differentiable."""
        size = (features.shape[-2], features.shape[-1])
        costs = [variance(features[0], warped(features[1:], warp, float(d), size)) for d in depths]
        return -self.regulariser(torch.stack(costs, 1)[None])[0]

    def depth(
        self, images: Float[Tensor, "n 3 h w"], features: Tensor, warp: Warp, depths: Any
    ) -> tuple[Float[Tensor, "i j"], Float[Tensor, "i j"]]:
        """Expected depth (refined where the network has the refinement) and its probability."""
        share = self.volume(features, warp, depths).softmax(0)
        values = torch.as_tensor(np.asarray(depths), dtype=share.dtype, device=share.device)
        depth = (share * values[:, None, None]).sum(0)
        if self.refinement is not None:
            ends = (float(depths[0]), float(depths[-1]))
            depth = self.refinement(images[:1], depth[None], ends)[0]
        return depth, expected(share)[1]


def expected(
    share: Float[Tensor, "d h w"],
) -> tuple[Float[Tensor, "h w"], Float[Tensor, "h w"]]:
    """The expected index, and the probability of the four planes about it.

    Of an index between two planes these are floor - 1 to ceil + 1; where it is a whole number, its
    plane counts twice, as in the released code.
    """
    last = len(share) - 1
    numbers = torch.arange(len(share), dtype=share.dtype, device=share.device)
    index = (share * numbers[:, None, None]).sum(0)
    low, high = index.floor().long(), index.ceil().long()
    four = [(low - 1).clamp(0, last), low.clamp(0, last), high.clamp(0, last)]
    four.append((high + 1).clamp(0, last))
    return index, sum((share.gather(0, i[None])[0] for i in four), torch.zeros_like(index))


@model("mvsnet", answers="Depth")
class Mvsnet(MakesShapeChecks):
    """Depth at a quarter of the size of the image; memory grows with the planes."""

    def __init__(self, settings: Settings = Settings(), network: MVSNet | None = None) -> None:
        self.settings = settings
        if network is None:
            name = "mvsnet_refined" if settings.refine else "mvsnet"
            network = build(name, read_weights(name, settings.weights))
        self._network = network.eval()

    def network(self) -> MVSNet:
        """The network."""
        return self._network

    @torch.no_grad()
    def prepare(self, image: Any) -> tuple[Tensor, Tensor]:
        """The standardised image and its features."""
        unit = torch.from_numpy(standardised(image, bgr=True))
        return unit, self._network.feature_extractor(unit[None])[0]

    @torch.no_grad()
    def match(self, prepared: Sequence[Any], K: Any, cam_T_world: Any, depths: Any) -> Depth:
        """See :class:`triscope.shape.stereo.Stereo`."""
        small = at_scale(K, SCALE)
        features = torch.stack([features for _, features in prepared])
        image = prepared[0][0][None]
        depth, share = self._network.depth(image, features, warp_of(small, cam_T_world), depths)
        flat = flatness(share.numpy(), len(depths) // 4)  # four planes count together
        return Depth(depth.numpy(), share.clamp(0, 1).numpy(), small[0], flat)


@published("mvsnet", "mvsnet_refined")
def build(name: str, state_dict: Mapping[str, Tensor]) -> MVSNet:
    """The network, or the one with the refinement, with these weights."""
    return load_published(name, MVSNet(refine=name.endswith("refined")), state_dict)
