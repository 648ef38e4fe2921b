"""The two-stage detector that DDN, Faster R-CNN and HyperNet are compositions of."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from triscope.kernel.config import require
from triscope.kernel.data import Dataset, Split
from triscope.kernel.metrics.detection import Box, Detections
from triscope.kernel.nn.stages import Stages, stages
from triscope.surface.changes import BOXED
from triscope.surface.labelled import UNCHANGED, Batches, boxed
from triscope.surface.models import _roi, _rpn
from triscope.surface.models._necks import Neck
from triscope.surface.models._supervised import Supervised
from triscope.surface.models._two_stage_losses import (
    Batch,
    head_losses,
    image_losses,
    joint_losses,
    proposal_losses,
)
from triscope.surface.teachable import teachable

RATIOS = (1.0, 0.5, 2.0)  # height : width of the anchors
PARTS = ("stages", "neck", "rpn", "head", "names")


@dataclass(frozen=True)
class Settings:
    """What all two-stage detectors are told; the defaults are the published ones of DDN."""

    classes: tuple[str, ...] = ()  # names of the defects; empty: those of the data
    backbone: str = "resnet50"  # any timm backbone of four stages
    weights: str = ""  # its file; random:SEED for tests; empty: the weights folder, or timm's
    norm: Literal["frozen", "batch"] = "frozen"  # whether its batch norms keep their statistics
    size: int = 600  # pixels of a side of the input (published: of the short side)
    anchors: tuple[float, ...] = (64.0, 128.0, 256.0, 512.0)  # square roots of the areas
    proposals: int = 300  # regions an image that are looked at
    sampled_anchors: int = 128  # anchors an image in the loss of the proposals
    sampled_regions: int = 64  # regions an image in the loss of the detector
    balance: float = 2.0  # weight of the box losses (lambda)
    threshold: float = 0.05  # score from which a detection is answered
    training: Literal["joint", "five_steps"] = "five_steps"  # all at once, or as published
    steps: int = 300_000  # updates, of all phases together
    batch: int = 1  # images an update
    learning_rate: float = 1e-3  # of stochastic gradient descent
    momentum: float = 0.9  # of stochastic gradient descent
    weight_decay: float = 1e-4  # of stochastic gradient descent
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"  # rule of the updates
    schedule: Literal["constant", "cosine", "drop"] = "drop"  # drop: a tenth after drop_at
    drop_at: float = 2 / 3  # share of the steps before the drop
    warm_up: int = 0  # steps in which the learning rate grows
    clip: float = 10.0  # largest norm of the gradient
    accumulate: int = 1  # batches an update
    precision: Literal["32-true", "bf16-mixed"] = "32-true"  # numbers of the forward pass
    augment: bool = True  # flips, turns, shifts and light, drawn anew for each image
    score_every: int = 0  # steps between looks at the held-out images; 0: keep the last weights
    patience: int = 0  # stop after so many looks without a better mAP; 0: never
    ema: float = 0.0  # decay of the running mean of the weights that is kept; 0: none
    tensorboard: bool = False  # write the losses for TensorBoard too (fit: --logs)
    seed: int = 0  # of new layers, sampling and augmentation

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        require(
            self,
            size=(self.size >= 64, "64 or more"),
            anchors=(bool(self.anchors) and min(self.anchors) > 0, "sides above 0"),
            proposals=(self.proposals >= 1, "1 or more"),
            sampled_anchors=(self.sampled_anchors >= 2, "2 or more"),
            sampled_regions=(self.sampled_regions >= 2, "2 or more"),
            balance=(self.balance > 0, "a number above 0"),
            threshold=(0 <= self.threshold < 1, "a score in [0, 1)"),
            steps=(self.steps >= 1, "1 or more"),
            batch=(self.batch >= 1, "1 or more"),
            learning_rate=(self.learning_rate > 0, "a number above 0"),
            drop_at=(0 < self.drop_at <= 1, "a share in (0, 1]"),
        )

    @property
    def proposing(self) -> _rpn.Proposing:
        """The settings of the region proposals."""
        return _rpn.Proposing(
            before=max(1000, 2 * self.proposals),
            after=self.proposals,
            sampled=self.sampled_anchors,
        )

    @property
    def detecting(self) -> _roi.Detecting:
        """The settings of the heads."""
        return _roi.Detecting(
            sampled=self.sampled_regions, balance=self.balance, threshold=self.threshold
        )


class TwoStage(nn.Module):
    """Backbone, neck, region proposals, heads."""

    def __init__(
        self,
        *,
        stages: Stages,
        upto: int,
        neck: Neck,
        rpn: _rpn.RegionProposals,
        head: nn.Module,
        classes: int,
        proposing: _rpn.Proposing,
        detecting: _roi.Detecting,
    ) -> None:
        super().__init__()
        self.stages, self.upto = stages, upto
        self.neck, self.rpn, self.head = neck, rpn, head
        self.names = nn.Linear(neck.out, classes)  # of whole images: the first phase
        self.proposing, self.detecting = proposing, detecting
        self.frozen: tuple[str, ...] = ()

    def train(self, mode: bool = True) -> TwoStage:
        """Training mode for the parts that learn in this phase."""
        super().train(mode)
        for name in self.frozen:
            getattr(self, name).eval()
        return self

    def freeze(self, *names: str) -> None:
        """These parts stay as they are; all others learn."""
        self.frozen = names
        for name in PARTS:
            getattr(self, name).requires_grad_(name not in names)
        if self.stages.norm == "frozen":
            for module in self.stages.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.requires_grad_(False)

    def maps(self, images: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b c _ _"]]:
        """What regions are proposed and pooled from."""
        return list(self.neck(self.stages(images, self.upto)))

    def forward(
        self, images: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "b d 4"], Tensor, Float[Tensor, "b d"]]:
        """Boxes in pixels of the input, classes and scores, best first; score 0: nothing more."""
        size = (images.shape[-2], images.shape[-1])
        maps = self.maps(images)
        boxes, scores = _rpn.propose(self.rpn(maps, size), size, self.proposing)
        answer = self.head(maps, _roi.regions_of(boxes), size)
        return _roi.detect(answer, boxes, scores, size, self.detecting)

    def proposals(
        self, images: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "b p 4"], Float[Tensor, "b p"]]:
        """Regions that may hold something, best first; score -1: nothing more."""
        size = (images.shape[-2], images.shape[-1])
        return _rpn.propose(self.rpn(self.maps(images), size), size, self.proposing)


class Found(nn.Module):
    """The detections of a batch, one behind the other, each with the row that it is of."""

    def __init__(self, net: TwoStage) -> None:
        super().__init__()
        self.net = net

    def forward(
        self, images: Float[Tensor, "b 3 h w"]
    ) -> tuple[Float[Tensor, "n 4"], Tensor, Float[Tensor, "n"], Tensor]:
        boxes, labels, scores = self.net(images)
        row, place = torch.nonzero(scores > 0, as_tuple=True)
        return boxes[row, place], labels[row, place], scores[row, place], row


class Phase:
    """One step of a training: what learns, from which losses, for which share of the steps."""

    def __init__(self, name: str, detector: Detector, share: float) -> None:
        self.name, self.detector, self.share = name, detector, share

    def begin(self) -> None:
        """Called before the training of this phase: chooses what learns."""
        self.detector.enter(self.name)

    def network(self) -> nn.Module:
        """What learns in this phase."""
        return self.detector.learning(self.name)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The losses of this phase."""
        return self.detector.losses_of(self.name, batch)


FIVE: Sequence[tuple[str, float]] = (
    ("1_classify", 0.2),
    ("2_propose", 0.2),
    ("3_detect", 0.3),
    ("4_tune_proposals", 0.15),
    ("5_tune_detector", 0.15),
)
FROZEN = {
    "joint": ("names",),
    "1_classify": ("rpn", "head"),
    "2_propose": ("head", "names"),
    "3_detect": ("rpn", "names"),
    "4_tune_proposals": ("stages", "neck", "head", "names"),
    "5_tune_detector": ("stages", "neck", "rpn", "names"),
}


class Detector(Supervised):
    """A two-stage detector that learns from boxes; DDN and its baselines differ by their parts."""

    def __init__(self, settings: Any) -> None:
        self.proposer: TwoStage | None = None  # between the phases 2 and 4
        super().__init__(settings)

    @staticmethod
    @abstractmethod
    def compose(settings: Any, body: Stages, classes: int) -> TwoStage:
        """The network of this detector on the stages of a backbone."""

    def build(self, classes: int) -> TwoStage:
        """Backbone, neck, proposals and heads, untrained but for the backbone."""
        settings = self.settings
        body = stages(settings.backbone, settings.weights, settings.norm)
        net = self.compose(settings, body, classes)
        net.freeze(*FROZEN["joint"])
        return net

    def card(self) -> dict[str, Any]:
        """Classes, and that images keep their aspect."""
        return {**super().card(), "input": {"fit": "letterbox"}}

    def batches(self, data: Dataset, split: Split, seed: int) -> Batches:
        """Images with their boxes, in pixels of the input."""
        size, train = self.settings.size, split == "train" and self.settings.augment
        samples, problems = teachable(data, self.classes, "boxes")
        return Batches(
            samples,
            boxed(self.classes),
            (size, size),
            self.settings.batch,
            seed,
            self.seen(BOXED if train else UNCHANGED),
            problems=problems,
        )

    @property
    def detector(self) -> TwoStage:
        """The network."""
        net = self.net
        assert isinstance(net, TwoStage)
        return net

    def phases(self) -> list[Phase]:
        """The steps of the training, in order."""
        if self.settings.training == "joint":
            return [Phase("joint", self, 1.0)]
        return [Phase(name, self, share) for name, share in FIVE]

    def enter(self, phase: str) -> None:
        """Choose what learns; hand over what an earlier phase learned."""
        if phase == "2_propose":
            self.proposer = copy.deepcopy(self.detector)
            self.proposer.freeze(*FROZEN[phase])
        if phase == "3_detect":
            self._proposing().freeze(*PARTS)
            self._proposing().eval()
        if phase == "4_tune_proposals":
            self.detector.rpn.load_state_dict(self._proposing().rpn.state_dict())
            self.proposer = None
        self.detector.freeze(*FROZEN[phase])

    def learning(self, phase: str) -> nn.Module:
        """The module that holds what learns in this phase."""
        if phase == "2_propose":
            return self._proposing()
        return self.parts if phase != "3_detect" else nn.ModuleList([self.parts, self._proposing()])

    def losses_of(self, phase: str, batch: Batch) -> dict[str, Tensor]:
        """The losses of one phase."""
        if phase != "2_propose":  # there the parts are not in what a checkpoint keeps
            self.parts.learned_batches += 1
        if phase == "joint":
            return joint_losses(self.detector, batch)
        if phase == "1_classify":
            return image_losses(self.detector, batch)
        if phase == "2_propose":
            return proposal_losses(self._proposing(), batch)
        if phase == "3_detect":
            return head_losses(self.detector, batch, self._proposing())
        if phase == "4_tune_proposals":
            return proposal_losses(self.detector, batch)
        return head_losses(self.detector, batch, self.detector)

    def network(self) -> nn.Module:
        """All of it, as the joint training sees it."""
        self.detector.freeze(*FROZEN["joint"])
        return self.parts

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The losses of the joint training."""
        return self.losses_of("joint", batch)

    @torch.inference_mode()
    def score(self, data: Dataset) -> float:
        """Mean average precision at IoU 0.5 of the held-out images."""
        self.trained()
        seen = Detections(self.classes)
        for batch in self.held_out(data):
            answers = zip(*self.detector(batch["images"]), strict=True)
            truths = zip(batch["boxes"], batch["labels"], strict=True)
            for truth, answer in zip(truths, answers, strict=True):
                seen.add(_named(self.classes, *truth), _scored(self.classes, *answer))
        return float(seen.result()["map_50"] or 0.0)

    def graph(self) -> nn.Module:
        """Images in; boxes, classes, scores and rows out; NotFitted before the training."""
        self.trained()
        return Found(self.detector).eval()

    def _proposing(self) -> TwoStage:
        if self.proposer is None:
            raise RuntimeError("phase 3 follows phase 2: the phases were not entered in order")
        return self.proposer


def _named(classes: Sequence[str], boxes: Tensor, labels: Tensor) -> list[tuple[str, Box]]:
    """Boxes (n, 4) with the names of their classes."""
    rows = zip(labels.tolist(), boxes.tolist(), strict=True)
    return [(classes[label], tuple(box)) for label, box in rows]


def _scored(
    classes: Sequence[str], boxes: Tensor, labels: Tensor, scores: Tensor
) -> list[tuple[str, Box, float]]:
    """The same with scores; what was not found, whose score is 0, is left out."""
    kept = scores > 0
    named = _named(classes, boxes[kept], labels[kept])
    return [(*one, score) for one, score in zip(named, scores[kept].tolist(), strict=True)]
