"""CSN: channel-separated 3-D convolutions, arXiv:1904.02811.

Tran, Wang, Torresani, Feiszli: Video Classification with Channel-Separated Convolutional Networks,
ICCV 2019. ``ip`` keeps the interaction of channels with a 1 x 1 x 1 convolution
in front of the depthwise one, ``ir`` leaves it to the bottleneck's outer convolutions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor, nn

from triscope.kernel.catalogue import model, published
from triscope.motion.models._clip_model import ClipModel, ClipSettings
from triscope.motion.models._layouts import MMACTION_BLOCK, PYTORCHVIDEO_BLOCK, layers
from triscope.motion.models._loading import Layout, load, read_weights
from triscope.motion.models._resnet3d import (
    BLOCKS,
    EVERYWHERE,
    Clip,
    Middle,
    Stem,
    one_clip,
    pooled,
    stage,
)

Interaction = Literal["ip", "ir"]


class Csn(nn.Module):
    """Stem 3 x 7 x 7, four stages that halve time and space from the second on, linear head.

    ``everywhere``: the head averages over the whole map (VMZ, mmaction2), not over windows of the
    size of training (pytorchvideo); the two differ on larger clips.
    """

    def __init__(
        self,
        *,
        depth: int = 101,
        interaction: Interaction = "ir",
        eps: float = 1e-3,
        everywhere: bool = False,
        frames: int = 32,
        classes: int = 400,
        channels: int = 3,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.window = EVERYWHERE if everywhere else (max(1, frames // 8), 7, 7)
        middle: Middle = "depthwise" if interaction == "ir" else "pointwise+depthwise"
        self.stem = Stem(channels, 64, 3, eps=eps)
        self.stages = nn.ModuleList(
            stage(
                64 if k == 0 else 128 * 2**k,
                64 * 2**k,
                256 * 2**k,
                count,
                stride=(1, 1, 1) if k == 0 else (2, 2, 2),
                middle=middle,
                eps=eps,
            )
            for k, count in enumerate(BLOCKS[depth])
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2048, classes)

    def forward(self, clips: Clip | list[Clip]) -> Float[Tensor, "b k"]:
        x = self.stem(one_clip(clips))
        for part in self.stages:
            x = part(x)
        return self.head(self.dropout(pooled(x, self.window))).mean((1, 2, 3))


@dataclass(frozen=True)
class Settings(ClipSettings):
    """Depth and the place of the channels' interaction."""

    depth: Literal["50", "101", "152"] = "50"  # layers
    interaction: Literal["ip", "ir"] = "ir"  # preserved by a 1 x 1 x 1 in front, or reduced
    sampling: Literal["segments", "dense"] = "dense"  # frames in a row
    frames: int = 32  # frames of a clip
    size: int = 224  # side of the square that the network sees, in pixels


@model("csn", answers="Moments")
class CsnModel(ClipModel):
    """Each channel looks at space and time by itself."""

    mean, std = (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)

    def __init__(self, settings: Settings = Settings()) -> None:
        super().__init__(settings)

    def build(self, classes: int) -> nn.Module:
        s = self.settings
        return Csn(
            depth=int(s.depth),
            interaction=s.interaction,
            frames=s.frames,
            classes=classes,
            dropout=s.dropout,
        )

    def published(self) -> str:
        return f"csn_r{self.settings.depth}_{self.settings.interaction}"


LAYOUTS = (
    Layout(
        "pytorchvideo",
        r"^blocks\.1\.res_blocks\.",
        (
            (r"^blocks\.0\.conv\.", "stem.conv."),
            (r"^blocks\.0\.norm\.", "stem.bn."),
            (
                r"^blocks\.(\d)\.res_blocks\.(\d+)\.",
                lambda m: f"stages.{int(m[1]) - 1}.blocks.{m[2]}.",
            ),
            *PYTORCHVIDEO_BLOCK,
            (r"^blocks\.5\.proj\.", "head."),
        ),
    ),
    Layout(
        "VMZ",
        r"^stem\.0\.weight",
        (
            (r"^stem\.0\.", "stem.conv."),
            (r"^stem\.1\.", "stem.bn."),
            (r"^layer(\d)\.(\d+)\.", layers),
            (r"\.conv1\.0\.", ".a."),
            (r"\.conv1\.1\.", ".a_bn."),
            (r"\.conv2\.0\.0\.", ".b_mix."),
            (r"\.conv2\.0\.1\.", ".b_mix_bn."),
            (r"\.conv2\.0(\.2)?\.", ".b."),
            (r"\.conv2\.1\.", ".b_bn."),
            (r"\.conv3\.0\.", ".c."),
            (r"\.conv3\.1\.", ".c_bn."),
            (r"\.downsample\.0\.", ".shortcut."),
            (r"\.downsample\.1\.", ".shortcut_bn."),
            (r"^fc\.", "head."),
        ),
    ),
)


def _mmaction(interaction: Interaction) -> Layout:
    """Its middle part is a list: one convolution (ir), or the 1 x 1 x 1 and then it (ip)."""
    mixed = "b_mix" if interaction == "ip" else "b"
    return Layout(
        "mmaction2",
        r"^backbone\.conv1\.conv\.",
        (
            (r"^backbone\.", ""),
            (r"^conv1\.conv\.", "stem.conv."),
            (r"^conv1\.bn\.", "stem.bn."),
            (r"\.conv2\.0\.conv\.", f".{mixed}."),
            (r"\.conv2\.0\.bn\.", f".{mixed}_bn."),
            (r"\.conv2\.1\.conv\.", ".b."),
            (r"\.conv2\.1\.bn\.", ".b_bn."),
            *MMACTION_BLOCK,
            (r"^cls_head\.fc_cls\.", "head."),
        ),
    )


@published(
    "csn_r50", "csn_r50_ir", "csn_r50_ip", "csn_r101", "csn_r101_ir", "csn_r101_ip",
    "csn_r152", "csn_r152_ir", "csn_r152_ip",
)  # fmt: skip
def build(name: str, state_dict: Mapping[str, Any]) -> nn.Module:
    """Clips (b, 3, t, h, w) to logits (b, k); keys of pytorchvideo, VMZ or mmaction2.

    Without an ending the name means ``ir``. The normalisations of VMZ and mmaction2 add 1e-3 to
    the variance and their heads average over the whole map, those of pytorchvideo add 1e-5: the
    keys tell.
    """
    interaction: Interaction = "ip" if name.endswith("_ip") else "ir"
    weights = read_weights(state_dict, (*LAYOUTS, _mmaction(interaction)))
    return load(
        name,
        lambda: Csn(
            depth=int(name.split("_")[1][1:]),
            interaction=interaction,
            eps=1e-5 if weights.layout == "pytorchvideo" else 1e-3,
            everywhere=weights.layout != "pytorchvideo",
            classes=weights.rows("head.weight", 400),
        ),
        weights,
    )
