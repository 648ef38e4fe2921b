"""Distillation: a smaller network learns the labels, and the answers and features of a larger one.

Classifiers learn softened logits (arXiv:1503.02531); detectors the logits and boxes that the
teacher gives to its own proposals, and its objectness (after Chen et al., NeurIPS 2017). Both learn
its fused features through a 1x1 convolution (arXiv:1412.6550) that is dropped afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.errors import UsageError
from triscope.kernel.config import require
from triscope.surface.models import _roi, _rpn, classifier
from triscope.surface.models._distillation import resized, seeded
from triscope.surface.models._two_stage import TwoStage

Maps = list[Float[Tensor, "b _ _ _"]]


@dataclass(frozen=True)
class Distilling:
    """How much the teacher counts beside the labels."""

    logits: float = 1.0  # weight of the teacher's answers
    features: float = 1.0  # weight of its fused features
    temperature: float = 2.0  # softens the answers of both

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        require(
            self,
            logits=(self.logits >= 0, "0 or more"),
            features=(self.features >= 0, "0 or more"),
            temperature=(self.temperature > 0, "a number above 0"),
        )


class Lesson(nn.Module):
    """The student with what only the lesson needs: adapters of its features; the teacher looks on.

    ``losses`` are those of the student's own training and the distances to the teacher.
    """

    def __init__(self, student: Any, teacher: nn.Module, how: Distilling) -> None:
        super().__init__()
        self.net = student.net
        if type(self.net) is not type(teacher) or not hasattr(teacher, "neck"):
            raise UsageError(
                f"{student.model_name} cannot be distilled: only classifiers and detectors can. "
                "Prune it instead."
            )
        self.how = how
        self._others = (student, teacher.eval().requires_grad_(False))  # not parts of the lesson
        with seeded(student.settings.seed):
            self.adapt = nn.Conv2d(_width(self.net), _width(teacher), 1)

    def losses(self, batch: Any) -> dict[str, Tensor]:
        """The loss of the labels, ``answers`` and ``features``."""
        student, teacher = self._others
        with _kept(self.net.neck) as maps, _kept(self.net) as answers:
            parts = dict(student.losses(batch))
        with torch.no_grad():
            wanted = _maps(teacher, batch["images"])
        features = self._features(maps[-1], wanted)
        if isinstance(teacher, TwoStage):
            told = _detections(self.net, maps[-1], teacher, wanted, batch, self.how.temperature)
        else:
            assert isinstance(teacher, classifier.Network)
            with torch.no_grad():
                logits = teacher.head(wanted[0].mean((2, 3)))
            told = softened(answers[-1][0], logits, self.how.temperature)
        loss = parts["loss"] + self.how.logits * told + self.how.features * features
        return {**parts, "loss": loss, "answers": told, "features": features}

    def _features(self, own: Maps, wanted: Maps) -> Float[Tensor, ""]:
        """Squared distance of the maps, each normalised by the teacher's spread."""
        x = resized(self.adapt(own[0]), wanted[0].shape[-2:])
        return F.mse_loss(x, wanted[0]) / wanted[0].var().clamp_min(1e-6)


def softened(
    own: Float[Tensor, "k c"], wanted: Float[Tensor, "k c"], temperature: float
) -> Float[Tensor, ""]:
    """Kullback-Leibler divergence of softened answers, times the temperature squared."""
    a, b = F.log_softmax(own / temperature, 1), F.log_softmax(wanted / temperature, 1)
    return F.kl_div(a, b, reduction="batchmean", log_target=True) * temperature**2


def _detections(
    net: TwoStage,
    maps: Maps,
    teacher: TwoStage,
    wanted: Maps,
    batch: Mapping[str, Any],
    temperature: float,
) -> Float[Tensor, ""]:
    """Distance of the heads on the teacher's proposals, and of the objectness of all anchors."""
    size = (batch["images"].shape[-2], batch["images"].shape[-1])
    with torch.no_grad():
        slid = teacher.rpn(wanted, size)
        boxes, _ = _rpn.propose(slid, size, teacher.proposing)
        regions = _roi.regions_of(boxes)
        logits, offsets = teacher.head(wanted, regions, size)
    own_logits, own_offsets = net.head(maps, regions, size)
    own_slid = net.rpn(maps, size)
    loss = softened(own_logits, logits, temperature) + F.smooth_l1_loss(own_offsets, offsets)
    for own, theirs in zip(own_slid.logits, slid.logits, strict=True):
        if own.shape == theirs.shape:
            loss = loss + F.mse_loss(own.sigmoid(), theirs.sigmoid())
    return loss


def _maps(net: Any, images: Tensor) -> Maps:
    if isinstance(net, TwoStage):
        return net.maps(images)
    assert isinstance(net, classifier.Network)
    return list(net.neck(net.stages(images)))


def _width(net: Any) -> int:
    """Channels of the fused map, as it is now: pruning may have changed it."""
    training = net.training
    net.eval()
    with torch.no_grad():
        width = _maps(net, torch.zeros(1, 3, 64, 64))[0].shape[1]
    net.train(training)
    return int(width)


@contextmanager
def _kept(module: nn.Module) -> Iterator[list[Any]]:
    """What a module answers while the block lasts."""
    answers: list[Any] = []
    handle = module.register_forward_hook(lambda _m, _x, answer: answers.append(answer))
    try:
        yield answers
    finally:
        handle.remove()
