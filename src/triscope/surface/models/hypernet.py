"""HyperNet: a hyper feature of three levels for proposals and detection, arXiv:1604.00600.

On residual stages in place of VGG's layers; the proposal network is the shared one of Faster R-CNN.
"""

from __future__ import annotations

from dataclasses import dataclass

from triscope.kernel.catalogue import model
from triscope.kernel.config import require
from triscope.kernel.nn.stages import Stages
from triscope.surface.models import _two_stage
from triscope.surface.models._necks import Hyper
from triscope.surface.models._roi import CompressedHead
from triscope.surface.models._rpn import RegionProposals


@dataclass(frozen=True)
class Settings(_two_stage.Settings):
    """What HyperNet is told; the defaults are those that DDN was compared with."""

    width: int = 42  # channels of each of the three levels
    hidden: int = 512  # channels of the region proposals

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        super().__post_init__()
        require(self, width=(self.width >= 1, "1 or more"), hidden=(self.hidden >= 1, "1 or more"))


@model("hypernet", answers="Boxes")
class HyperNet(_two_stage.Detector):
    """A fine, a middle and a coarse level at stride 8, compressed by 5x5 convolutions."""

    def __init__(self, settings: Settings = Settings()) -> None:
        super().__init__(settings)

    @staticmethod
    def compose(settings: Settings, body: Stages, classes: int) -> _two_stage.TwoStage:
        """Everything on the hyper feature."""
        neck = Hyper(body.channels, width=settings.width)
        return _two_stage.TwoStage(
            stages=body,
            upto=4,
            neck=neck,
            rpn=RegionProposals(
                neck.out, sizes=[settings.anchors], ratios=_two_stage.RATIOS, hidden=settings.hidden
            ),
            head=CompressedHead(neck.out, classes, width=63, kernel=3),
            classes=classes,
            proposing=settings.proposing,
            detecting=settings.detecting,
        )
