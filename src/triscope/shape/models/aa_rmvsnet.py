"""AA-RMVSNet: adaptive aggregation within and between views, ConvLSTM planes (arXiv:2108.03824).

Wei, Zhu, Min, Chen, Wang: AA-RMVSNet: Adaptive Aggregation Recurrent Multi-view Stereo Network,
ICCV 2021. Features have the size of the (small) image that goes in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
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
from triscope.shape.models._aggregation import FeatNet, InterView
from triscope.shape.models._layers import group_norm, padded_to
from triscope.shape.models._sweep import Running
from triscope.shape.models._warp import warped
from triscope.shape.stereo import at_scale, flatness, read_weights, standardised
from triscope.shape.sweep import Swept
from triscope.shape.sweep.answer import depth_between
from triscope.shape.warp import Warp, warp_of

State = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Settings(Golden):
    """The numbers of section 4."""

    weights: str = ""  # file of weights; empty: the official ones (DTU)
    planes: int = 192  # depth planes of a sweep
    shrink: int = 4  # the image is resized by so much before the network, which keeps its size
    between: bool = True  # depth between the planes, by a parabola through three scores

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        super().__post_init__()
        require(
            self,
            planes=(self.planes >= 2, "2 or more"),
            shrink=(self.shrink >= 1, "1 or more"),
        )


class ConvLSTM(nn.Module):
    """One cell: input, forget, output gate and candidate from one 3x3 convolution."""

    def __init__(self, before: int, state: int) -> None:
        super().__init__()
        self.state = state
        self.conv = nn.Conv2d(before + state, 4 * state, 3, padding=1)

    def forward(self, x: Float[Tensor, "b c h w"], before: State | None) -> State:
        if before is None:
            zeros = x.new_zeros(x.shape[0], self.state, *x.shape[2:])
            before = (zeros, zeros)
        i, f, o, g = self.conv(torch.cat([x, before[0]], 1)).chunk(4, 1)
        cell = torch.sigmoid(f) * before[1] + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(cell), cell


class _Up(nn.Module):
    """Transposed convolution to twice the size, group norm, ReLU, with the published names."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(channels, channels, 3, 2, 1, output_padding=1)
        self.gn = group_norm(channels)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c i j"]:
        return F.relu(self.gn(self.conv(x)))


class UNetConvLSTM(nn.Module):
    """Five cells in a U: two halvings down, two doublings up (section 3.4)."""

    def __init__(self) -> None:
        super().__init__()
        widths = ((32, 16), (16, 16), (16, 16), (32, 16), (32, 8))
        self.cell_list = nn.ModuleList(ConvLSTM(before, state) for before, state in widths)
        self.deconv_0, self.deconv_1 = _Up(16), _Up(16)
        self.conv_0 = nn.Conv2d(8, 1, 3, padding=1)

    def forward(
        self, x: Float[Tensor, "b 32 h w"], states: list[State] | None
    ) -> tuple[Float[Tensor, "b h w"], list[State]]:
        """One plane, sides multiples of 4: cost and states before -> score and states after."""
        before: list[Any] = states or [None] * 5
        one = self.cell_list[0](x, before[0])
        two = self.cell_list[1](F.max_pool2d(one[0], 2), before[1])
        three = self.cell_list[2](F.max_pool2d(two[0], 2), before[2])
        four = self.cell_list[3](torch.cat([self.deconv_0(three[0]), two[0]], 1), before[3])
        five = self.cell_list[4](torch.cat([self.deconv_1(four[0]), one[0]], 1), before[4])
        return self.conv_0(five[0])[:, 0], [one, two, three, four, five]


class AARMVSNet(nn.Module):
    """The published network.

    ``corners=False`` samples as the published code does under PyTorch 1.3 and later, where its
    grid no longer means what it was written for; True samples where the geometry says.
    """

    def __init__(self, *, corners: bool = True) -> None:
        super().__init__()
        self.corners = corners
        self.feature = FeatNet()
        self.omega = InterView()
        self.cost_regularization = UNetConvLSTM()

    def forward(
        self, images: Float[Tensor, "n 3 h w"], K: Any, cam_T_world: Any, depths: Any
    ) -> tuple[Tensor, Float[Tensor, "h w"]]:
        """Index of the best plane (int64) and its probability, at the size of the images.

        As published: images are RGB, standardised per image and channel, the reference first; ``K``
        (n, 3, 3) belongs to their size and has pixel centres at integers.
        """
        features = self.features(images)
        swept = self.sweep(features, warp_of(K, cam_T_world), depths)
        index = torch.from_numpy(swept.index.astype(np.int64)).to(images.device)
        return index, torch.from_numpy(swept.probability).to(images.device)

    def features(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 32 h w"]:
        """Features of standardised images, one at a time."""
        h, w = images.shape[-2:]
        padded = padded_to(images, 4)
        return torch.cat([self.feature(image[None]) for image in padded])[..., :h, :w]

    @torch.no_grad()
    def sweep(self, features: Float[Tensor, "n 32 h w"], warp: Warp, depths: Any) -> Swept:
        """The sweep over cached features."""
        running = Running(features[0, 0])
        for score in self._planes(features, warp, depths):
            running.add(score)
        return running.answer()

    def scores(
        self, features: Float[Tensor, "n 32 h w"], warp: Warp, depths: Any
    ) -> Float[Tensor, "d h w"]:
        """The scores of all planes, differentiable: for training."""
        return torch.stack(list(self._planes(features, warp, depths)))

    def _planes(self, features: Tensor, warp: Warp, depths: Any) -> Any:
        h, w = features.shape[-2:]
        states = None
        for depth in np.asarray(depths, np.float64):
            cost = padded_to(-self.cost(features, warp, float(depth))[None], 4)
            score, states = self.cost_regularization(cost, states)
            yield score[0, :h, :w]

    def cost(
        self, features: Float[Tensor, "n 32 h w"], warp: Warp, depth: float
    ) -> Float[Tensor, "32 h w"]:
        """The mean of (1 + weight) * squared difference over the sources."""
        size = (features.shape[-2], features.shape[-1])
        others = warped(features[1:], warp, depth, size, corners=self.corners)
        difference = (others - features[:1]).square()
        return ((1 + self.omega(difference)) * difference).mean(0)


@model("aa_rmvsnet", answers="Depth")
class AaRmvsnet(MakesShapeChecks):
    """Depth at a quarter of the size of the image."""

    def __init__(self, settings: Settings = Settings(), network: AARMVSNet | None = None) -> None:
        self.settings = settings
        if network is None:
            network = build("aa_rmvsnet", read_weights("aa_rmvsnet", settings.weights))
        self._network = network.eval()

    def network(self) -> AARMVSNet:
        """The network."""
        return self._network

    @torch.no_grad()
    def prepare(self, image: Any) -> Float[Tensor, "32 i j"]:
        """Features of one RGB image, shrunk."""
        h, w = (max(4, round(side / self.settings.shrink)) for side in image.shape[:2])
        small = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
        unit = torch.from_numpy(standardised(np.asarray(small, np.uint8), bgr=False))
        return self._network.features(unit[None])[0]

    def match(self, prepared: Sequence[Any], K: Any, cam_T_world: Any, depths: Any) -> Depth:
        """See :class:`triscope.shape.stereo.Stereo`."""
        small = at_scale(K, self.settings.shrink)
        warp = warp_of(small, cam_T_world)
        swept = self._network.sweep(torch.stack(list(prepared)), warp, depths)
        offset = swept.offset() * self.settings.between
        values = depth_between(np.asarray(depths), swept.index, offset)
        flat = flatness(swept.probability, len(depths))
        return Depth(values, swept.probability, small[0], flat)


@published("aa_rmvsnet", "aa_rmvsnet_as_run")
def build(name: str, state_dict: Mapping[str, Any]) -> AARMVSNet:
    """The network with the published weights; ``as_run`` with the sampling of newer PyTorch."""
    tensors = state_dict.get("model", state_dict)
    return load_published(name, AARMVSNet(corners=name == "aa_rmvsnet"), tensors)
