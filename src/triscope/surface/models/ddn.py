"""DDN: steel defects from fused levels of a residual network, doi:10.1109/TIM.2019.2915404.

He, Song, Meng, Yan: An End-to-End Steel Surface Defect Detection Approach via Fusing Multiple
Hierarchical Features, IEEE TIM 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from triscope.kernel.catalogue import model
from triscope.kernel.config import require
from triscope.kernel.nn.stages import Stages
from triscope.surface.models import _two_stage
from triscope.surface.models._necks import FusionNorm, MultilevelFusion
from triscope.surface.models._roi import HeadKind, head_of
from triscope.surface.models._rpn import RegionProposals


@dataclass(frozen=True)
class Settings(_two_stage.Settings):
    """What DDN is told; the defaults are the published ones."""

    width: int = 512  # channels of each branch (512 for ResNet-50, 128 for ResNet-34)
    hidden: int = 512  # channels of the region proposals
    levels: tuple[int, ...] = (2, 3, 4, 5)  # stages that are fused
    placement: Literal["before", "after", "hyper"] = "before"  # of the 1x1 convolution
    fusion_norm: FusionNorm = "none"  # batch: batch norms in the fusion, for large batches
    head: HeadKind = "average"  # as published; dense: hidden layers on all 7x7 bins

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        super().__post_init__()
        require(
            self,
            width=(self.width >= 1, "1 or more"),
            hidden=(self.hidden >= 1, "1 or more"),
            levels=(bool(self.levels) and set(self.levels) <= {2, 3, 4, 5}, "stages 2 to 5"),
        )


@model("ddn", answers="Boxes")
class Ddn(_two_stage.Detector):
    """MFN over R2 to R5, region proposals on the fused map, pooled regions, two linear heads."""

    def __init__(self, settings: Settings = Settings()) -> None:
        super().__init__(settings)

    @staticmethod
    def compose(settings: Settings, body: Stages, classes: int) -> _two_stage.TwoStage:
        """Everything on the fused map."""
        neck = MultilevelFusion(
            body.channels,
            width=settings.width,
            levels=settings.levels,
            placement=settings.placement,
            norm=settings.fusion_norm,
        )
        return _two_stage.TwoStage(
            stages=body,
            upto=max(4, *settings.levels) - 1,
            neck=neck,
            rpn=RegionProposals(
                neck.out, sizes=[settings.anchors], ratios=_two_stage.RATIOS, hidden=settings.hidden
            ),
            head=head_of(settings.head, neck.out, classes),
            classes=classes,
            proposing=settings.proposing,
            detecting=settings.detecting,
        )
