"""What all models of clips share: settings, batches, losses, the graph, weights.

A model says what its network is (``build``) and how a published file of it is called; the rest is
here. Clips are (b, 3, t, h, w) in [0, 1] before the graph's own normalisation.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.errors import BadLabels, BadSettings, NotFitted, WeightsMismatch
from triscope.kernel.config import require
from triscope.kernel.data import Dataset, Split
from triscope.kernel.data.video import Cut, open_video, open_videos, read_clip
from triscope.kernel.protocols import Graph
from triscope.motion.augment import Augmentation, flip_rules
from triscope.motion.batches import ClipBatches, Clips


@dataclass(frozen=True)
class ClipSettings:
    """How clips are cut, changed and learned from; a model's own settings come on top."""

    SEES: ClassVar[tuple[str, ...]] = ("rgb", "difference")  # flow is for two streams alone

    frames: int = 8  # frames of a clip
    size: int = 112  # side of the square that the network sees, in pixels
    sampling: Literal["segments", "dense"] = "segments"  # one frame of each equal part, or in a row
    step: int = 2  # frames of the video from one to the next (dense), or of a difference
    seen: Literal["rgb", "difference", "flow"] = "rgb"  # colours, or how they change
    square: bool = False  # press the whole frame into the square instead of cutting one out
    views: int = 1  # clips of a video that are answered and averaged
    crops: int = 1  # squares of a frame that are answered and averaged
    start: str = ""  # file of published weights to start from; empty: random ones
    learn: Literal["all", "head"] = "all"  # head: the classifier alone, on features as they are
    norm: Literal["learn", "partial", "frozen"] = "learn"  # partial: all fixed but the first
    dropout: float = 0.5  # before the classifier
    smoothing: float = 0.1  # of the labels
    mixup: float = 0.0  # alpha of mixup; 0: none
    cutmix: float = 0.0  # alpha of CutMix; 0: none
    scales: tuple[float, ...] = (1.0, 0.875, 0.75)  # sides of the crops of a training
    flip: bool = True  # mirror clips
    flip_labels: str = ""  # labels that a mirror swaps: left=right
    one_way: tuple[str, ...] = ()  # labels that must not be mirrored
    jitter: float = 0.3  # of brightness, contrast and saturation
    operations: int = 0  # of RandAugment on each clip
    balance: bool = True  # show each class equally often
    steps: int = 200  # updates
    batch: int = 8  # clips an update
    learning_rate: float = 1e-3  # the highest of the schedule
    weight_decay: float = 1e-4  # of the optimizer
    optimizer: Literal["adam", "adamw", "sgd"] = "adamw"  # rule of the updates
    momentum: float = 0.9  # of sgd, first beta of adam and adamw
    schedule: Literal["constant", "cosine", "drop"] = "cosine"  # of the learning rate
    warm_up: int = 5  # steps in which the learning rate grows
    accumulate: int = 1  # batches an update
    clip: float = 20.0  # largest norm of the gradient; 0: no limit
    score_every: int = 0  # steps between looks at the held-out videos; 0: never
    patience: int = 0  # stop after so many looks without a better one; 0: never
    seed: int = 0  # of the first weights, the order and the changes

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        share = "a number in [0, 1)"
        require(
            self,
            frames=(self.frames >= 1, "1 or more"),
            size=(self.size >= 32, "32 or more"),
            step=(self.step >= 1, "1 or more"),
            seen=(self.seen in self.SEES, " or ".join(self.SEES)),
            views=(self.views >= 1, "1 or more"),
            crops=(self.crops >= 1, "1 or more"),
            dropout=(0 <= self.dropout < 1, share),
            smoothing=(0 <= self.smoothing < 1, share),
            mixup=(self.mixup >= 0, "0 or more"),
            cutmix=(self.cutmix >= 0, "0 or more"),
            scales=(all(0 < s <= 1 for s in self.scales) and len(self.scales) > 0, "in (0, 1]"),
            steps=(self.steps >= 1, "1 or more"),
            batch=(self.batch >= 1, "1 or more"),
            learning_rate=(self.learning_rate > 0, "a number above 0"),
            warm_up=(self.warm_up >= 0, "0 or more"),
        )
        flip_rules(self.flip_labels)

    @property
    def cut(self) -> Cut:
        """How clips are cut."""
        return Cut(
            frames=self.frames,
            size=self.size,
            sampling=self.sampling,
            step=self.step,
            clips=self.views,
            crops=self.crops,
            seen=self.seen,
            square=self.square,
        )


class ClipModel(ABC):
    """A network that says what a clip shows."""

    mean: ClassVar[tuple[float, float, float]] = (0.485, 0.456, 0.406)
    std: ClassVar[tuple[float, float, float]] = (0.229, 0.224, 0.225)
    settings: Any

    def __init__(self, settings: Any = None) -> None:
        self.settings = settings
        self.classes: tuple[str, ...] = ()
        self._net: nn.Module | None = None

    @abstractmethod
    def build(self, classes: int) -> nn.Module:
        """A fresh network: normalised clips (b, 3, t, h, w) to logits (b, k)."""

    def published(self) -> str:
        """The name of the published network that ``settings.start`` holds."""
        raise BadSettings("start: this model has no published weights to start from.")

    # ---- data -----------------------------------------------------------------------------------

    open_data = staticmethod(open_videos)

    def begin(self, data: Dataset) -> None:
        """Learn the names of the classes and build the network."""
        labels = data.classes or tuple(sorted({s.label for s in data if s.label is not None}))
        if len(labels) < 2:
            raise BadLabels(
                f"{data.root or 'the data'} has {len(labels)} class(es): a model of clips needs at "
                "least two. Put the videos of each class into a folder of its name."
            )
        self.classes = labels
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            self._net = self.build(len(labels))
        if self.settings.start and len(data):
            self.start_from(Path(self.settings.start))
        if self.settings.learn == "head":
            only_the_head(self._net)

    def batches(self, data: Dataset, split: Split, seed: int) -> ClipBatches:
        """See ``kernel.protocols.MakesBatches``."""
        s = self.settings
        augment = Augmentation(
            size=s.size,
            scales=s.scales,
            flip=s.flip,
            flip_labels=flip_rules(s.flip_labels),
            one_way=s.one_way,
            jitter=s.jitter,
            operations=s.operations,
            still=s.seen == "difference",
        )
        return ClipBatches(
            data, self.classes, s.cut, augment, batch=s.batch, seed=seed, balance=s.balance
        )

    # ---- learning -------------------------------------------------------------------------------

    def network(self) -> nn.Module:
        """The network, with random weights until it has learned."""
        if self._net is None:
            raise NotFitted("this model does not know its classes yet: call fit() with videos.")
        return self._net

    def losses(self, batch: Clips) -> dict[str, Tensor]:
        """Cross-entropy with smoothed labels, over mixed clips where that is asked for."""
        clips, targets = self.taught(batch)
        logits = one_answer(self.network()(clips))
        loss = F.cross_entropy(logits, targets, label_smoothing=self.settings.smoothing)
        return {"loss": loss, **self.more_losses(clips, targets)}

    def taught(self, batch: Clips) -> tuple[Float[Tensor, "b c t h w"], Float[Tensor, "b k"]]:
        """Normalised clips and their targets, mixed where that is asked for; norms are fixed."""
        if self.settings.learn == "head":
            fix_norms(self.network(), "frozen", besides="head")
        else:
            fix_norms(self.network(), self.settings.norm)
        return mixed(
            self.normalised(batch.clips.float() / 255),
            F.one_hot(batch.labels, len(self.classes)).float(),
            self.settings.mixup,
            self.settings.cutmix,
        )

    def more_losses(
        self, clips: Float[Tensor, "b c t h w"], targets: Float[Tensor, "b k"]
    ) -> dict[str, Tensor]:
        """Further parts of the loss to be told; none here."""
        return {}

    def normalised(self, clips: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h w"]:
        """Clips in [0, 1] as the network wants them."""
        return normalise(clips, self.mean, self.std)

    @torch.no_grad()
    def score(self, data: Dataset) -> float:
        """The share of held-out videos that are answered rightly."""
        net, right = self.network().eval(), 0
        known = [s for s in data if s.label in self.classes]
        for sample in known:
            rows = read_clip(open_video(sample.source), self.settings.cut)  # type: ignore[arg-type]
            clips = self.normalised(torch.from_numpy(rows).float() / 255)
            answer = one_answer(net(clips)).softmax(1).mean(0).argmax()
            right += self.classes[int(answer)] == sample.label
        return right / max(1, len(known))

    # ---- answering ------------------------------------------------------------------------------

    def graph(self) -> nn.Module:
        """Clips in [0, 1] in, logits out."""
        return ClipGraph(self.network(), self.mean, self.std).eval()

    def graphs(self) -> dict[str, Graph]:
        """The one graph of a clip."""
        s = self.settings
        frames = s.frames + (s.seen == "flow")  # one in colours before the fields
        example = torch.full((1, 3, frames, s.size, s.size), 0.5)
        return {"model": Graph(self.graph(), {"clips": example}, ("logits",))}

    def card(self) -> dict[str, Any]:
        """What a reader must know beyond the settings."""
        return {
            "classes": self.classes,
            "capture": "clip",
            "size": (self.settings.size, self.settings.size),
            "input": self.settings.cut.to_dict(),
        }

    # ---- weights --------------------------------------------------------------------------------

    def weights(self) -> dict[str, Tensor]:
        """The network's parameters and buffers."""
        return dict(self.network().state_dict())

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Put the result of ``weights`` back."""
        self.network().load_state_dict(dict(weights))

    def start_from(self, path: Path) -> None:
        """Take what a published file has of this network; the classifier stays as it is."""
        from triscope.kernel.catalogue import build_published

        source = build_published(self.published(), read_file(path)).state_dict()
        copy_fitting(self.network(), source, path)


class ClipGraph(nn.Module):
    """Normalisation and network."""

    def __init__(self, net: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.net = net
        self.mean, self.std = mean, std

    def forward(self, clips: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b k"]:
        return one_answer(self.net(normalise(clips, self.mean, self.std)))


def normalise(
    clips: Float[Tensor, "b c t h w"], mean: tuple[float, ...], std: tuple[float, ...]
) -> Float[Tensor, "b c t h w"]:
    """(clips - mean) / std, channel by channel."""
    shape = (1, -1, 1, 1, 1)
    return (clips - clips.new_tensor(mean).reshape(shape)) / clips.new_tensor(std).reshape(shape)


def one_answer(logits: Tensor) -> Tensor:
    """Logits of a clip; networks that answer each step in time are averaged over it."""
    return logits.mean(2) if logits.ndim == 3 else logits


def fix_norms(network: nn.Module, how: str, *, besides: str = "") -> None:
    """Keep the statistics of batch normalisations: of all, or of all but the first.

    Those in modules whose name begins with ``besides`` learn nevertheless.
    """
    if how == "learn":
        return
    norms = [
        module
        for name, module in network.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        and not (besides and name.startswith(besides))
    ]
    for norm in norms if how == "frozen" else norms[1:]:
        norm.eval()


def only_the_head(network: nn.Module) -> None:
    """Let nothing learn but the classifier."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(re.search(r"(^|\.)(head|logits|fc8)\.", name) is not None)


def mixed(
    clips: Float[Tensor, "b c t h w"], targets: Float[Tensor, "b k"], mixup: float, cutmix: float
) -> tuple[Float[Tensor, "b c t h w"], Float[Tensor, "b k"]]:
    """Each clip blended with another (mixup), or with a box of another in it (CutMix)."""
    kinds = [kind for kind, alpha in (("mixup", mixup), ("cutmix", cutmix)) if alpha > 0]
    if not kinds:
        return clips, targets
    kind = kinds[int(torch.randint(len(kinds), ()))]
    alpha = mixup if kind == "mixup" else cutmix
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    other = torch.randperm(len(clips))
    if kind == "mixup":
        clips = share * clips + (1 - share) * clips[other]
    else:
        h, w = clips.shape[-2:]
        side = (1 - share) ** 0.5
        y, x = (int(torch.randint(n, ())) for n in (h, w))
        top, bottom = max(0, y - int(h * side / 2)), min(h, y + int(h * side / 2))
        left, right = max(0, x - int(w * side / 2)), min(w, x + int(w * side / 2))
        clips = clips.clone()
        clips[..., top:bottom, left:right] = clips[other][..., top:bottom, left:right]
        share = 1 - (bottom - top) * (right - left) / (h * w)
    return clips, share * targets + (1 - share) * targets[other]


def read_file(path: Path) -> dict[str, Any]:
    """The tensors of a file: safetensors, or what ``torch.save`` wrote, without running code."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return dict(load_file(path))
    return dict(torch.load(path, map_location="cpu", weights_only=True))


def copy_fitting(network: nn.Module, source: Mapping[str, Tensor], path: Path) -> None:
    """Copy what has the same name and shape; raises WeightsMismatch where little has."""
    own = network.state_dict()
    fitting = {k: v for k, v in source.items() if k in own and own[k].shape == v.shape}
    if len(fitting) < 0.9 * len(own):
        raise WeightsMismatch(
            f"{path} fits {len(fitting)} of {len(own)} tensors of this network. "
            "Give the published file of this model and variant."
        )
    network.load_state_dict(fitting, strict=False)
