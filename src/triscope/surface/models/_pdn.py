"""The networks of EfficientAD (arXiv:2303.14535, tables 6 and 8) and what the teacher learns."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.errors import WeightsMismatch, WeightsMissing
from triscope.kernel import weights as official

# Names of the layers of the plain sequence in which some published teachers are stored.
SEQUENCE = {"0": "conv1", "3": "conv2", "6": "conv3", "8": "conv4"}
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


class _Normal(nn.Module):
    """Images in [0, 1] to the mean 0 and spread 1 that ImageNet has."""

    mean: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("spread", torch.tensor(SPREAD).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        return (images - self.mean) / self.spread


class Pdn(nn.Module):
    """The small patch description network, without padding: each answer sees 33x33 pixels.

    ``width`` scales the inner channels (128, 256, 256 at 1); 256 pixels become 56 places.
    """

    def __init__(self, width: float, channels: int) -> None:
        super().__init__()
        narrow, wide = max(4, round(128 * width)), max(8, round(256 * width))
        self.normal = _Normal()
        self.conv1 = nn.Conv2d(3, narrow, 4)
        self.conv2 = nn.Conv2d(narrow, wide, 4)
        self.conv3 = nn.Conv2d(wide, wide, 3)
        self.conv4 = nn.Conv2d(wide, channels, 4)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c i j"]:
        x = F.relu(self.conv1(self.normal(images)))  # 256 -> 253
        x = F.relu(self.conv2(F.avg_pool2d(x, 2)))  # 126 -> 123
        x = F.relu(self.conv3(F.avg_pool2d(x, 2)))  # 61 -> 59
        return self.conv4(x)  # 56


class Autoencoder(nn.Module):
    """Six strided convolutions to a code of 64 numbers, and back to the student's grid."""

    def __init__(self, size: int, channels: int) -> None:
        super().__init__()
        self.normal = _Normal()
        widths = (3, 32, 32, 64, 64, 64)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv2d(before, after, 4, 2, 1), nn.ReLU(inplace=True)]
        self.encoder = nn.Sequential(*layers, nn.Conv2d(64, 64, size // 32))
        # 3, 8, 15, 32, 63, 127 places at 256 pixels; each convolution adds one
        self.sizes = [
            max(1, round(size / 256 * places) - less)
            for places, less in ((4, 1), (8, 0), (16, 1), (32, 0), (64, 1), (128, 1))
        ]
        self.decoder = nn.ModuleList(nn.Conv2d(64, 64, 4, 1, 2) for _ in self.sizes)
        self.dropout = nn.Dropout(0.2)
        self.size = grid(size)
        self.last = nn.Sequential(
            nn.Conv2d(64, 64, 3, 1, 1), nn.ReLU(inplace=True), nn.Conv2d(64, channels, 3, 1, 1)
        )

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c i j"]:
        x = self.encoder(self.normal(images))
        for size, layer in zip(self.sizes, self.decoder, strict=True):
            x = self.dropout(F.relu(layer(_bilinear(x, size))))
        return self.last(_bilinear(x, self.size))


def _bilinear(x: Tensor, size: int) -> Tensor:
    return F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)


def grid(size: int) -> int:
    """Places of the patch description network along a side of so many pixels."""
    return ((size - 3) // 2 - 3) // 2 - 5


class Standard(nn.Module):
    """Each channel to mean 0 and spread 1, by sums over the first ``images`` it learns from."""

    def __init__(self, channels: int, images: int = 200) -> None:
        super().__init__()
        self.images = images
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("square", torch.ones(channels))

    seen: Tensor
    mean: Tensor
    square: Tensor

    def forward(self, x: Float[Tensor, "b c h w"], learn: bool = False) -> Tensor:
        if learn and int(self.seen) < self.images:
            self._learn(x.detach().float())
        spread = (self.square - self.mean.square()).clamp_min(1e-12).sqrt()
        return (x - self.mean.view(1, -1, 1, 1)) / spread.view(1, -1, 1, 1)

    def _learn(self, x: Float[Tensor, "b c h w"]) -> None:
        self.seen += len(x)
        share = len(x) / float(self.seen)
        self.mean.lerp_(x.mean((0, 2, 3)), share)
        self.square.lerp_(x.square().mean((0, 2, 3)), share)


def features_of(
    levels: Sequence[Float[Tensor, "b _ _ _"]], shape: Sequence[int]
) -> Float[Tensor, "b d h w"]:
    """What the teacher learns: the levels, averaged over 3x3, joined, brought to ``shape``.

    The channels become d by averaging neighbours, as in PatchCore (appendix A.2).
    """
    channels, *size = shape
    maps = [
        F.interpolate(F.avg_pool2d(level, 3, 1, 1), size=size, mode="bilinear", align_corners=False)
        for level in levels
    ]
    joined = torch.cat(maps, 1)  # (b, sum of c, h, w)
    rows = joined.permute(0, 2, 3, 1).flatten(0, 2).unsqueeze(1)  # (b*h*w, 1, sum of c)
    pooled = F.adaptive_avg_pool1d(rows, channels).view(len(joined), *size, channels)
    return pooled.permute(0, 3, 1, 2)


def load_teacher(teacher: nn.Module, file: str) -> nn.Module:
    """The teacher with the weights of a file (conv1 to conv4, or a sequence 0, 3, 6, 8)."""
    if official.follow():
        return teacher
    if not Path(file).is_file():
        raise WeightsMissing(
            f"teacher_weights={file!r} is not a file. Give the file of a pretrained small PDN "
            "teacher, or leave teacher_weights empty to distil one."
        )
    if file.endswith(".safetensors"):
        from safetensors.torch import load_file

        found = load_file(file)
    else:
        found = torch.load(file, map_location="cpu", weights_only=True)
    named = {_own_name(key): value for key, value in found.items()}
    own = teacher.state_dict()
    wrong = sorted(own.keys() ^ named.keys())
    wrong += [k for k in own.keys() & named.keys() if own[k].shape != named[k].shape]
    if wrong:
        raise WeightsMismatch(
            f"{file} does not hold a small PDN teacher of 384 channels: {len(wrong)} keys or "
            f"shapes differ, first {', '.join(wrong[:3])}."
        )
    teacher.load_state_dict(named)
    return teacher


def _own_name(key: str) -> str:
    first, _, rest = key.removeprefix("teacher.").partition(".")
    return f"{SEQUENCE.get(first, first)}.{rest}"
