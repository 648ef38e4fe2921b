"""Two streams: one network sees a frame, one sees how the picture moves (arXiv:1406.2199).

Simonyan, Zisserman: Two-Stream Convolutional Networks for Action Recognition in Videos, NIPS 2014.
Both are CNN-M-2048 (arXiv:1405.3531); Caffe's pools keep the rest at the border.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.kernel.catalogue import published
from triscope.motion.models._loading import Layout, load, read_weights

LENGTH = 10  # L: flow fields of a stack, twice as many channels


class CnnM(nn.Module):
    """CNN-M-2048: five convolutions, three fully connected layers.

    ``normalise_second``: the second response normalisation, which the temporal stream leaves out
    to save memory (figure 1).
    """

    def __init__(
        self,
        *,
        channels: int = 3,
        classes: int = 101,
        normalise_second: bool = True,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.normalise_second = normalise_second
        self.conv1 = nn.Conv2d(channels, 96, 7, 2)
        self.conv2 = nn.Conv2d(96, 256, 5, 2, 1)
        self.conv3 = nn.Conv2d(256, 512, 3, 1, 1)
        self.conv4 = nn.Conv2d(512, 512, 3, 1, 1)
        self.conv5 = nn.Conv2d(512, 512, 3, 1, 1)
        self.fc6 = nn.Linear(512 * 6 * 6, 4096)
        self.fc7 = nn.Linear(4096, 2048)
        self.fc8 = nn.Linear(2048, classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        x = _pool(_norm(F.relu(self.conv1(images))))
        x = F.relu(self.conv2(x))
        x = _pool(_norm(x) if self.normalise_second else x)
        x = F.relu(self.conv4(F.relu(self.conv3(x))))
        x = _pool(F.relu(self.conv5(x)))
        x = F.adaptive_max_pool2d(x, 6).flatten(1)  # changes nothing at 224 px
        x = self.dropout(F.relu(self.fc6(x)))
        return self.fc8(self.dropout(F.relu(self.fc7(x))))


def _norm(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    return F.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0)


def _pool(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c i j"]:
    return F.max_pool2d(x, 3, 2, ceil_mode=True)


def spatial(classes: int = 101, dropout: float = 0.5) -> CnnM:
    """The stream that sees one frame."""
    return CnnM(classes=classes, dropout=dropout)


def temporal(classes: int = 101, length: int = LENGTH, dropout: float = 0.9) -> CnnM:
    """The stream that sees stacked flow: channels x1, y1, x2, y2 and so on."""
    return CnnM(channels=2 * length, classes=classes, normalise_second=False, dropout=dropout)


class TwoStream(nn.Module):
    """Both streams, their probabilities averaged with weights.

    Frames (b, 3, h, w) and stacks (b, 2 L, h, w) to the logarithm of the fused probabilities.
    """

    def __init__(
        self, spatial_net: nn.Module, temporal_net: nn.Module, weights: tuple[float, float] = (1, 1)
    ) -> None:
        super().__init__()
        self.spatial, self.temporal = spatial_net, temporal_net
        self.share = weights[0] / sum(weights)

    def forward(
        self, frames: Float[Tensor, "b c h w"], stacks: Float[Tensor, "b l h w"]
    ) -> Float[Tensor, "b k"]:
        looks, moves = self.spatial(frames).softmax(1), self.temporal(stacks).softmax(1)
        return (self.share * looks + (1 - self.share) * moves).clamp_min(1e-12).log()


def stack(flow: Float[Tensor, "b 2 l h w"]) -> Float[Tensor, "b m h w"]:
    """Flow fields at one place, in the published order of channels x1, y1, x2, y2 (eq. 1)."""
    return flow.transpose(1, 2).flatten(1, 2)


def along_trajectories(flow: Float[Tensor, "b 2 l h w"]) -> Float[Tensor, "b m h w"]:
    """As ``stack``, but each field is read where the point has moved to by then (eq. 2)."""
    b, _, length, h, w = flow.shape
    grid_y, grid_x = torch.meshgrid(
        torch.arange(h, dtype=flow.dtype), torch.arange(w, dtype=flow.dtype), indexing="ij"
    )
    place = torch.stack((grid_x, grid_y)).to(flow.device).expand(b, 2, h, w)
    scale = flow.new_tensor([max(w - 1, 1), max(h - 1, 1)]).reshape(1, 2, 1, 1)
    read = []
    for k in range(length):
        where = (2 * place / scale - 1).permute(0, 2, 3, 1)  # x, y in [-1, 1]
        moved = F.grid_sample(flow[:, :, k], where, padding_mode="border", align_corners=True)
        read.append(moved)
        place = place + moved
    return stack(torch.stack(read, dim=2))


def without_camera(flow: Float[Tensor, "b 2 l h w"]) -> Float[Tensor, "b 2 l h w"]:
    """The mean of each field taken off: what the camera's own motion adds (section 3.2)."""
    return flow - flow.mean((3, 4), keepdim=True)


def cross_modality(weight: Float[Tensor, "o 3 k l"], channels: int) -> Float[Tensor, "o m k l"]:
    """First filters for flow from those for colour: their mean, repeated (arXiv:1608.00859)."""
    return weight.mean(1, keepdim=True).repeat(1, channels, 1, 1)


LAYOUT = Layout("VGG-M-2048", r"(^|\.)conv1\.weight$", ((r"^features\.", ""),))


@published("two_stream_spatial", "two_stream_temporal")
def build(name: str, state_dict: Mapping[str, Any]) -> nn.Module:
    """Frames (n, 3, h, w), or stacked flow (n, 2 L, h, w), to logits; VGG-M-2048 layer names."""
    weights = read_weights(state_dict, (LAYOUT,))
    first = weights.shape("conv1.weight")
    classes = weights.rows("fc8.weight", 101)
    if name == "two_stream_spatial":
        return load(name, lambda: spatial(classes), weights)
    length = first[1] // 2 if first else LENGTH
    return load(name, lambda: temporal(classes, length), weights)
