"""Faster R-CNN: regions proposed and detected by one network, arXiv:1506.01497.

On one map of a residual network (arXiv:1512.03385, appendix A) or on its pyramid
(arXiv:1612.03144).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from triscope.kernel.catalogue import model
from triscope.kernel.nn.stages import Stages
from triscope.surface.models import _two_stage
from triscope.surface.models._necks import Pyramid, Single
from triscope.surface.models._roi import DenseHead, HeadKind, StageHead, head_of
from triscope.surface.models._rpn import RegionProposals

WIDTH = 256  # channels of the pyramid


@dataclass(frozen=True)
class Settings(_two_stage.Settings):
    """What Faster R-CNN is told; the defaults are those that DDN was compared with."""

    # c4: R4, and the last stage a region; r4, r5: that map alone; fpn: a pyramid
    form: Literal["c4", "r4", "r5", "fpn"] = "c4"
    head: HeadKind = "average"  # of r4 and r5; dense: hidden layers on all 7x7 bins
    hidden: int = 512  # channels of the region proposals; the pyramid has its own


@model("faster_rcnn", answers="Boxes")
class FasterRcnn(_two_stage.Detector):
    """The baseline: no fusion of levels, or that of a pyramid."""

    def __init__(self, settings: Settings = Settings()) -> None:
        super().__init__(settings)

    @staticmethod
    def compose(settings: Settings, body: Stages, classes: int) -> _two_stage.TwoStage:
        """The form that the settings name."""
        return FORMS[settings.form](settings, body, classes)


def _c4(settings: Settings, body: Stages, classes: int) -> _two_stage.TwoStage:
    head = StageHead(body.parts[3], body.channels[3], classes)
    return _single(settings, body, classes, Single(body.channels, level=4), head, upto=3)


def _r4(settings: Settings, body: Stages, classes: int) -> _two_stage.TwoStage:
    head = head_of(settings.head, body.channels[2], classes)
    return _single(settings, body, classes, Single(body.channels, level=4), head, upto=3)


def _r5(settings: Settings, body: Stages, classes: int) -> _two_stage.TwoStage:
    head = head_of(settings.head, body.channels[3], classes)
    return _single(settings, body, classes, Single(body.channels, level=5), head, upto=4)


def _single(
    settings: Settings, body: Stages, classes: int, neck: Single, head: nn.Module, *, upto: int
) -> _two_stage.TwoStage:
    rpn = RegionProposals(
        neck.out, sizes=[settings.anchors], ratios=_two_stage.RATIOS, hidden=settings.hidden
    )
    return _two_stage.TwoStage(
        stages=body,
        upto=upto,
        neck=neck,
        rpn=rpn,
        head=head,
        classes=classes,
        proposing=settings.proposing,
        detecting=settings.detecting,
    )


def _fpn(settings: Settings, body: Stages, classes: int) -> _two_stage.TwoStage:
    """One anchor size a level: half the smallest one first, doubled from level to level."""
    first = min(settings.anchors) / 2
    return _two_stage.TwoStage(
        stages=body,
        upto=4,
        neck=Pyramid(body.channels, width=WIDTH),
        rpn=RegionProposals(
            WIDTH, sizes=[[first * 2**i] for i in range(5)], ratios=(0.5, 1.0, 2.0)
        ),
        head=DenseHead(WIDTH, classes, levels=4),
        classes=classes,
        proposing=settings.proposing,
        detecting=settings.detecting,
    )


FORMS = {"c4": _c4, "r4": _r4, "r5": _r5, "fpn": _fpn}
