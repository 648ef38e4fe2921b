"""What `ms_tcn` and `asformer` share: from the camera to a label a frame.

Frames are seen by a small network of our own, trained together with what looks along time, so that
no feature files stand between camera and answer.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.errors import BadLabels, DataError, EmptyData, NotFitted
from triscope.kernel.config import require
from triscope.kernel.data import Dataset, Sample, Split
from triscope.kernel.data.video import open_video
from triscope.kernel.data.video.timeline import labels_at, open_timelines, read_timeline
from triscope.kernel.protocols import Graph
from triscope.kernel.results import Skipped


@dataclass(frozen=True)
class SegmentSettings:
    """How videos are read and learned from."""

    rate: float = 10.0  # frames a second that are looked at
    size: int = 64  # side of the square into which frames are pressed, in pixels
    width: int = 32  # channels along time
    layers: int = 8  # of a stage; each looks twice as far as the one before
    stages: int = 3  # the first answers, the others refine
    causal: bool = False  # look back only, to run online
    lag_s: float = 0.0  # seconds that a causal network waits before it labels a frame
    dropout: float = 0.3  # of the layers along time
    smooth: float = 0.15  # weight of the loss on changes from frame to frame
    jitter: float = 0.2  # of brightness and contrast in training
    speed: float = 0.2  # videos are played faster or slower by up to this share in training
    longest_s: float = 120.0  # longer videos are cut to a random part of this length in training
    steps: int = 400  # updates
    batch: int = 1  # videos an update; use accumulate for more, since their lengths differ
    accumulate: int = 2  # batches an update
    learning_rate: float = 1e-3  # the highest of the schedule
    weight_decay: float = 1e-4  # of the optimizer
    schedule: str = "cosine"  # of the learning rate
    warm_up: int = 10  # steps in which the learning rate grows
    clip: float = 5.0  # largest norm of the gradient; 0: no limit
    seed: int = 0  # of the first weights, the order and the changes

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        require(
            self,
            rate=(self.rate > 0, "a number above 0"),
            size=(self.size >= 32, "32 or more"),
            width=(self.width >= 8, "8 or more"),
            layers=(1 <= self.layers <= 12, "between 1 and 12"),
            stages=(self.stages >= 1, "1 or more"),
            lag_s=(self.lag_s == 0 or (self.causal and self.lag_s > 0), "0, or more with causal"),
            dropout=(0 <= self.dropout < 1, "a number in [0, 1)"),
            speed=(0 <= self.speed < 1, "a number in [0, 1)"),
            steps=(self.steps >= 1, "1 or more"),
            learning_rate=(self.learning_rate > 0, "a number above 0"),
        )


class Labelled(NamedTuple):
    """Videos uint8 (b, 3, t, h, w) with the number of the label of each frame (b, t)."""

    frames: Tensor
    labels: Tensor


class FrameEncoder(nn.Module):
    """Each frame and its change from the one before, as one vector that still knows places."""

    def __init__(self, width: int) -> None:
        super().__init__()
        channels = (6, 16, 24, 32, 32)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(channels):
            layers += [
                nn.Conv2d(before, after, 3, 2, 1, bias=False),
                nn.GroupNorm(4, after),  # a video has its own light: no statistics over videos
                nn.ReLU(),
            ]
        self.maps = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4))
        self.out = nn.Linear(32 * 16, width)

    def forward(self, frames: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b d t"]:
        change = torch.cat((torch.zeros_like(frames[:, :, :1]), frames.diff(dim=2)), dim=2)
        return self.see(frames, change)

    def see(
        self, frames: Float[Tensor, "b 3 t h w"], change: Float[Tensor, "b 3 t h w"]
    ) -> Float[Tensor, "b d t"]:
        """Frames and how each differs from the one before."""
        b, c, t, h, w = frames.shape
        both = torch.cat((frames - 0.5, 2 * change), dim=1)  # (b, 6, t, h, w)
        seen = self.maps(both.transpose(1, 2).reshape(b * t, 2 * c, h, w))
        return self.out(seen.flatten(1)).reshape(b, t, -1).transpose(1, 2)


class Segmenter(nn.Module):
    """Frames to the logits of each stage: (stages, b, k, t), the last one the answer.

    With a ``lag`` (frames) a frame is labelled when so many more were seen; behind the end of the
    video its last frame is repeated.
    """

    def __init__(self, encoder: nn.Module, along_time: nn.Module, lag: int = 0) -> None:
        super().__init__()
        self.encoder, self.along_time, self.lag = encoder, along_time, lag

    def forward(self, frames: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "s b k t"]:
        seen = self.encoder(frames)
        if self.lag == 0:
            return self.along_time(seen)
        held = F.pad(seen, (0, self.lag), mode="replicate")
        return self.along_time(held)[..., self.lag :]


class SegmentModel(ABC):
    """A label for each frame of a video."""

    settings: Any
    open_data = staticmethod(open_timelines)

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.classes: tuple[str, ...] = ()
        self._net: Segmenter | None = None

    @abstractmethod
    def along_time(self, classes: int) -> nn.Module:
        """Features (b, d, t) to the logits of each stage (s, b, k, t)."""

    def begin(self, data: Dataset) -> None:
        """Learn the labels and build the network."""
        if len(data.classes) < 2:
            raise BadLabels(f"{data.root or 'the data'} names no step: give labelled spans.")
        self.classes = data.classes
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            encoder = FrameEncoder(self.settings.width)
            lag = round(self.settings.lag_s * self.settings.rate)
            self._net = Segmenter(encoder, self.along_time(len(self.classes)), lag)

    def batches(self, data: Dataset, split: Split, seed: int) -> TimelineBatches:
        """See ``kernel.protocols.MakesBatches``."""
        return TimelineBatches(list(data), self.classes, self.settings, seed)

    def network(self) -> nn.Module:
        """Encoder and what looks along time."""
        if self._net is None:
            raise NotFitted("this model does not know its steps yet: call fit() with videos.")
        return self._net

    def losses(self, batch: Labelled) -> dict[str, Tensor]:
        """Cross-entropy and a limit on changes of log-probability, summed over the stages."""
        answers = self.network()(batch.frames.float() / 255)
        parts = [stage_loss(stage, batch.labels, self.settings.smooth) for stage in answers]
        return {"loss": torch.stack(parts).sum(), "last": parts[-1]}

    def graph(self) -> nn.Module:
        """Frames in [0, 1] (1, 3, t, h, w) in, logits (1, k, t) out."""
        return _Last(self.network()).eval()

    def graphs(self) -> dict[str, Graph]:
        """One graph with any number of frames; and one of a frame with state, where it can be."""
        s = self.settings
        example = torch.full((1, 3, 64, s.size, s.size), 0.5)
        free = {"frames": {2: "time"}}
        graphs = {"model": Graph(self.graph(), {"frames": example}, ("logits",), free)}
        if self._online():
            frame = torch.full((1, 3, s.size, s.size), 0.5)
            state = {f"state_{i}": kept for i, kept in enumerate(self._start())}
            outputs = ("logits", *(f"next_{i}" for i in range(len(state))))
            module = OnlineSegmenter(self.network()).eval()  # type: ignore[arg-type]
            graphs["online"] = Graph(module, {"frame": frame, "before": frame, **state}, outputs)
        return graphs

    def _online(self) -> bool:
        """Whether frames can be answered one by one."""
        return self.settings.causal and hasattr(self.network().along_time, "step")

    def _start(self) -> list[Tensor]:
        return list(self.network().along_time.start())  # type: ignore[union-attr, operator]

    def card(self) -> dict[str, Any]:
        """What a reader must know beyond the settings."""
        s = self.settings
        read: dict[str, Any] = {"kind": "timeline", "rate": s.rate, "size": s.size}
        if self._net is not None and self._online():
            read["state"] = [list(kept.shape) for kept in self._start()]
            read["lag"] = round(s.lag_s * s.rate)
        return {
            "classes": self.classes,
            "capture": "clip",
            "size": (s.size, s.size),
            "input": read,
        }

    def weights(self) -> dict[str, Tensor]:
        """The network's parameters and buffers."""
        return dict(self.network().state_dict())

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Put the result of ``weights`` back."""
        self.network().load_state_dict(dict(weights))


class OnlineSegmenter(nn.Module):
    """One frame in [0, 1] and the one before it, to the logits of one time; its state beside them.

    Where the network lags, the logits are those of the frame so many before.
    """

    def __init__(self, net: Segmenter) -> None:
        super().__init__()
        self.net = net

    def forward(
        self,
        frame: Float[Tensor, "b 3 h w"],
        before: Float[Tensor, "b 3 h w"],
        *state: Float[Tensor, "b _ _"],
    ) -> tuple[Tensor, ...]:
        seen = self.net.encoder.see(frame[:, :, None], (frame - before)[:, :, None])  # type: ignore[operator]
        logits, after = self.net.along_time.step(seen, state)  # type: ignore[operator]
        return (logits[:, :, 0], *after)


class _Last(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, frames: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b k t"]:
        return self.net(frames)[-1]


def stage_loss(
    logits: Float[Tensor, "b k t"], labels: Int[Tensor, "b t"], smooth: float
) -> Float[Tensor, ""]:
    """Section 3.3 of arXiv:1903.01945: cross-entropy, and changes of log-probability up to 4.

    The frame before is held fixed, as in the published code.
    """
    loss = F.cross_entropy(logits, labels)
    if smooth and logits.shape[2] > 1:
        logs = logits.log_softmax(1)
        change = (logs[:, :, 1:] - logs[:, :, :-1].detach()).square().clamp(0, 16)
        loss = loss + smooth * change.mean()
    return loss


class TimelineBatches:
    """One video after the other, read once and kept small; lengths differ, so one a batch."""

    def __init__(
        self, samples: Sequence[Sample], classes: Sequence[str], settings: Any, seed: int
    ) -> None:
        self.settings, self.seed = settings, seed
        self.videos: list[tuple[Any, Any]] = []
        self.skipped: list[Skipped] = []
        numbers = {label: i for i, label in enumerate(classes)}
        for sample in samples:
            try:
                frames = _frames_of(sample, settings)
            except DataError as error:
                self.skipped.append(Skipped(sample.name, str(error)))
                continue
            names = labels_at(getattr(sample, "spans", ()), frames.shape[1], settings.rate)
            self.videos.append((frames, np.array([numbers[name] for name in names])))
        if not self.videos:
            told = "; ".join(skipped.error for skipped in self.skipped[:3])
            raise EmptyData(f"none of {len(samples)} videos can be read: {told}")

    def __call__(self, epoch: int) -> list[Labelled]:
        """The videos in the order of this epoch, changed."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.videos))
        return [self._one(int(place), epoch) for place in order]

    def _one(self, place: int, epoch: int) -> Labelled:
        rng = np.random.default_rng([self.seed, epoch, place])
        frames, labels = self.videos[place]
        s = self.settings
        factor = float(rng.uniform(1 - s.speed, 1 + s.speed))
        count = max(2, round(len(labels) / factor))
        times = np.minimum((np.arange(count) * factor).astype(int), len(labels) - 1)
        longest = round(s.longest_s * s.rate)
        if count > longest:
            start = int(rng.integers(count - longest + 1))
            times = times[start : start + longest]
        light, contrast = rng.uniform(1 - s.jitter, 1 + s.jitter, 2)
        seen = frames[:, times].astype(np.float32)
        seen = np.clip((seen - 128) * contrast + 128 * light, 0, 255).astype(np.uint8)
        return Labelled(torch.from_numpy(seen[None]), torch.from_numpy(labels[times][None]))


def _frames_of(sample: Sample, settings: Any) -> Any:
    return read_timeline(open_video(sample.source), settings.rate, settings.size)  # type: ignore[arg-type]
