"""Two streams: one network sees a frame, one sees how the picture moves (arXiv:1406.2199).

Simonyan, Zisserman: Two-Stream Convolutional Networks for Action Recognition in Videos, NIPS 2014.
Both are CNN-M-2048 (arXiv:1405.3531); Caffe's pools keep the rest at the border.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.kernel.catalogue import build_published, model, published
from triscope.kernel.config import require
from triscope.kernel.data.video.clips import FAR
from triscope.motion.batches import Clips
from triscope.motion.models._clip_model import ClipModel, ClipSettings, copy_fitting, read_file
from triscope.motion.models._frames import Segmental, backbone
from triscope.motion.models._loading import Layout, load, read_weights
from triscope.motion.models._mobilenetv2 import from_timm

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


class TwoStreamClips(nn.Module):
    """Both streams on clips (b, 3, 1 + L, h, w): one frame, then L fields with x and y in [-1, 1].

    Fused by the average of their probabilities, or by a linear machine on both, each divided by
    its length (section 2). Answers logarithms of probabilities, or the machine's scores.
    """

    def __init__(
        self,
        looks: nn.Module,
        moves: nn.Module,
        classes: int,
        *,
        machine: bool,
        motion: float,
        trajectories: bool = False,
    ) -> None:
        super().__init__()
        self.looks, self.moves, self.trajectories = looks, moves, trajectories
        self.machine = nn.Linear(2 * classes, classes) if machine else None
        self.share = motion / (1 + motion)

    def streams(
        self, clips: Float[Tensor, "b 3 t h w"]
    ) -> tuple[Float[Tensor, "b k"], Float[Tensor, "b k"]]:
        """The logits of both."""
        fields = clips[:, :2, 1:]
        if self.trajectories:
            far = clips.shape[-1] / FAR  # pixels that 1 stands for
            fields = along_trajectories(fields * far) / far
        return self.looks(clips[:, :, 0]), self.moves(stack(without_camera(fields)))

    def joined(self, clips: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b j"]:
        """What the linear machine sees: (b, 2 k)."""
        return torch.cat([F.normalize(x.softmax(1), dim=1) for x in self.streams(clips)], dim=1)

    def forward(self, clips: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b k"]:
        if self.machine is not None:
            return self.machine(self.joined(clips))
        looks, moves = (x.softmax(1) for x in self.streams(clips))
        return ((1 - self.share) * looks + self.share * moves).clamp_min(1e-12).log()


def stack(flow: Float[Tensor, "b 2 l h w"]) -> Float[Tensor, "b m h w"]:
    """Flow fields at one place, in the published order of channels x1, y1, x2, y2 (eq. 1)."""
    return flow.transpose(1, 2).flatten(1, 2)


def along_trajectories(flow: Float[Tensor, "b 2 l h w"]) -> Float[Tensor, "b 2 l h w"]:
    """Flow in pixels, each field read where the point has moved to by then (eq. 2)."""
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
    return torch.stack(read, dim=2)


def without_camera(flow: Float[Tensor, "b 2 l h w"]) -> Float[Tensor, "b 2 l h w"]:
    """The mean of each field taken off: what the camera's own motion adds (section 3.2)."""
    return flow - flow.mean((3, 4), keepdim=True)


def cross_modality(weight: Float[Tensor, "o 3 k l"], channels: int) -> Float[Tensor, "o m k l"]:
    """First filters for flow from those for colour: their mean, repeated (arXiv:1608.00859)."""
    return weight.mean(1, keepdim=True).repeat(1, channels, 1, 1)


@dataclass(frozen=True)
class Settings(ClipSettings):
    """Smaller than published (CNN-M on 224 pixels), for a CPU."""

    SEES: ClassVar[tuple[str, ...]] = ("flow",)

    backbone: Literal["cnn_m", "resnet50", "mobilenetv2", "mobilenetv2_tf"] = "mobilenetv2_tf"
    # network of each stream; cnn_m: as published
    seen: Literal["flow"] = "flow"  # one frame, and the flow from frame to frame
    frames: int = 10  # fields of flow
    sampling: Literal["segments", "dense"] = "dense"  # fields in a row
    stacking: Literal["points", "trajectories"] = "points"  # where the fields are read
    fusion: Literal["average", "svm"] = "average"  # of the streams
    motion: float = 1.0  # weight of the motion stream in the average
    machine: float = 10.0  # strength of the errors of the linear machine against its weights

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        super().__post_init__()
        require(
            self,
            motion=(self.motion > 0, "a number above 0"),
            machine=(self.machine > 0, "a number above 0"),
        )


@model("two_stream", answers="Moments")
class TwoStreamModel(ClipModel):
    """One network sees a frame, one how the picture moves."""

    mean, std = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)

    def __init__(self, settings: Settings = Settings()) -> None:
        super().__init__(settings)

    def build(self, classes: int) -> nn.Module:
        s = self.settings
        looks, moves = (self._stream(channels, classes) for channels in (3, 2 * s.frames))
        return TwoStreamClips(
            looks,
            moves,
            classes,
            machine=s.fusion == "svm",
            motion=s.motion,
            trajectories=s.stacking == "trajectories",
        )

    def _stream(self, channels: int, classes: int) -> nn.Module:
        s = self.settings
        if s.backbone == "cnn_m":
            return CnnM(
                channels=channels,
                classes=classes,
                normalise_second=channels == 3,
                dropout=s.dropout,
            )
        base = backbone(s.backbone, channels)
        return Segmental(base, channels=channels, classes=classes, dropout=s.dropout)

    def losses(self, batch: Clips) -> dict[str, Tensor]:
        """Cross-entropy of each stream by itself."""
        clips, targets = self.taught(batch)
        net: Any = self.network()
        parts = [
            F.cross_entropy(logits, targets, label_smoothing=self.settings.smoothing)
            for logits in net.streams(clips)
        ]
        return {"loss": parts[0] + parts[1], "looks": parts[0], "moves": parts[1]}

    def phases(self) -> list[Any]:
        """The streams; then, where that is the fusion, the linear machine on both."""
        if self.settings.fusion == "average":
            return [Streams(self, 1.0)]
        return [Streams(self, 0.8), Machine(self, 0.2)]

    def start_from(self, path: Path) -> None:
        """Weights of a network of single pictures for both streams.

        The first filters of the motion stream are the mean over the colours (arXiv:1608.00859).
        """
        net: Any = self.network()
        state = read_file(path)
        if "conv_stem.weight" in state:
            state = from_timm(state, "base.")
        else:
            base = self.settings.backbone
            known = "two_stream_spatial" if base == "cnn_m" else f"tsn_{base}"
            state = dict(build_published(known, state).state_dict())
        first = next(key for key, value in state.items() if value.ndim == 4)
        moving = {**state, first: cross_modality(state[first], 2 * self.settings.frames)}
        copy_fitting(net.looks, state, path)
        copy_fitting(net.moves, moving, path)


class Streams:
    """The first phase: each stream learns by itself."""

    name = "1-streams"

    def __init__(self, model: TwoStreamModel, share: float) -> None:
        self.model, self.share = model, share

    def begin(self) -> None:
        """Nothing to prepare."""

    def losses(self, batch: Clips) -> dict[str, Tensor]:
        """See the model."""
        return self.model.losses(batch)

    def network(self) -> nn.Module:
        """Both streams; the machine has no part in this loss."""
        net: Any = self.model.network()
        if net.machine is not None:
            net.machine.requires_grad_(False)
        return self.model.network()


class Machine:
    """The second phase: a linear machine a class against the rest, on the streams as they are."""

    name = "2-machine"

    def __init__(self, model: TwoStreamModel, share: float) -> None:
        self.model, self.share = model, share

    def begin(self) -> None:
        """Let the machine alone learn."""
        net: Any = self.model.network()
        net.requires_grad_(False)
        net.machine.requires_grad_(True)

    def losses(self, batch: Clips) -> dict[str, Tensor]:
        """Squared hinge and the length of the weights."""
        net: Any = self.model.network()
        net.looks.eval()
        net.moves.eval()
        with torch.no_grad():
            seen = net.joined(self.model.normalised(batch.clips.float() / 255))
        signs = 2 * F.one_hot(batch.labels, len(self.model.classes)).float() - 1
        lacking = (1 - signs * net.machine(seen)).clamp_min(0).square().sum(1).mean()
        length = 0.5 * net.machine.weight.square().sum()
        return {"loss": self.model.settings.machine * lacking + length, "lacking": lacking}

    def network(self) -> nn.Module:
        """The machine."""
        net: Any = self.model.network()
        machine: nn.Module = net.machine
        return machine


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
