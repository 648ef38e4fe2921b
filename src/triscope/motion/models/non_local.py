"""Non-local networks: every place looks at every other, at all times (arXiv:1711.07971).

Wang, Girshick, Gupta, He: Non-local Neural Networks, CVPR 2018. The blocks fit any 3-D network;
here they stand in C2D, I3D and Slow residual networks, which are also here without them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import nn

from triscope.kernel.catalogue import model, published
from triscope.motion.models._clip_model import ClipModel, ClipSettings
from triscope.motion.models._layouts import MMACTION, SLOWFAST, pytorchvideo
from triscope.motion.models._loading import load, read_weights
from triscope.motion.models._resnet3d import EVERYWHERE, PairFunction, ResNet3D, placed

AFTER = ((), (1, 3), (1, 3, 5), ())  # section 4: five blocks, two in res3 and three in res4


@dataclass(frozen=True)
class Base:
    """Reach in time: of the stem, of the first convolutions by stage, and the pool after res2."""

    stem: int
    times: tuple[tuple[int, ...], ...]
    pool: int


BASES: Mapping[str, Base] = {
    "c2d": Base(1, ((1,), (1,), (1,), (1,)), 2),
    "slow": Base(1, ((1,), (1,), (3,), (3,)), 1),
    "i3d": Base(5, ((3,), (3, 1), (3, 1), (1, 3)), 2),
}
# The pair function of the published configuration; SlowFast's code calls the embedded one softmax.
PAIRS: Mapping[str, PairFunction] = {
    "c2d": "embedded_gaussian",
    "slow": "dot_product",
    "i3d": "embedded_gaussian",
}
PAIR_FUNCTIONS: Mapping[str, PairFunction] = {name: name for name in get_args(PairFunction)}


def network(
    base: str,
    *,
    depth: int = 50,
    blocks: tuple[tuple[int, ...], ...] = AFTER,
    pair: PairFunction | None = None,
    frames: int = 8,
    classes: int = 400,
    channels: int = 3,
    mmaction: bool = False,
) -> ResNet3D:
    """C2D, Slow or I3D with non-local blocks after the given bottlenecks of each stage.

    ``mmaction``: as mmaction2 builds it. Its I3D halves the frames in the stem's convolution and
    pool and does not scale the embedded Gaussian; its non-local blocks pool after phi and g and
    have no bias at their end; its head averages over the whole map.
    """
    shape = BASES[base]
    return ResNet3D(
        depth=depth,
        stem_time=shape.stem,
        stem_strides=(2, 2) if mmaction and base == "i3d" else (1, 1),
        times=shape.times,
        middle_pool=shape.pool,
        nonlocals=blocks,
        pair=pair or PAIRS[base],
        pool_nonlocals="after" if mmaction else "before",
        scaled=not (mmaction and base == "i3d"),
        nonlocal_out_bias=not mmaction,
        classes=classes,
        channels=channels,
        window=EVERYWHERE if mmaction else (frames, 7, 7),
    )


@dataclass(frozen=True)
class Settings(ClipSettings):
    """Where the filters reach in time, and the pair function of the blocks."""

    base: Literal["c2d", "slow", "i3d"] = "i3d"  # reach of the filters in time
    depth: Literal["50", "101"] = "50"  # layers
    pair: str = ""  # gaussian, embedded_gaussian, dot_product, concatenation; empty: as published
    sampling: Literal["segments", "dense"] = "dense"  # frames in a row
    size: int = 224  # side of the square that the network sees, in pixels


@model("nonlocal", answers="Moments")
class NonLocalModel(ClipModel):
    """Every place looks at every other, at all times."""

    mean, std = (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)

    def __init__(self, settings: Settings = Settings()) -> None:
        super().__init__(settings)

    def build(self, classes: int) -> nn.Module:
        s = self.settings
        return network(
            s.base, depth=int(s.depth), pair=s.pair or None, frames=s.frames, classes=classes
        )

    def published(self) -> str:
        return f"{self.settings.base}_nln_r{self.settings.depth}"


@published(
    "c2d_r50", "c2d_r50_8x8", "c2d_r101", "c2d_nln_r50", "c2d_nln_r50_8x8", "c2d_nln_r101",
    "slow_r50", "slow_r50_4x16", "slow_r50_8x8", "slow_r101", "slow_r101_8x8",
    "slow_nln_r50", "slow_nln_r50_4x16", "slow_nln_r50_8x8", "slow_nln_r101",
    "slow_nln_r50_gaussian", "slow_nln_r50_embedded_gaussian", "slow_nln_r50_dot_product",
    "slow_nln_r50_concatenation", "slow_nln_r50_4x16_embedded_gaussian",
    "i3d_r50", "i3d_r50_8x8", "i3d_r101", "i3d_r101_8x8",
    "i3d_nln_r50", "i3d_nln_r50_8x8", "i3d_nln_r101", "i3d_nln_r101_8x8",
    "i3d_nln_r50_gaussian", "i3d_nln_r50_embedded_gaussian", "i3d_nln_r50_dot_product",
    "i3d_nln_r50_concatenation",
)  # fmt: skip
def build(name: str, state_dict: Mapping[str, Any]) -> nn.Module:
    """Clips (b, 3, t, h, w) to logits (b, k); keys of SlowFast, pytorchvideo or mmaction2.

    The libraries put their non-local blocks after different bottlenecks (SlowFast 1, 3 and 1, 3,
    5; mmaction2 0, 2 and 0, 2, 4): the keys tell. So do they whether the network is that of
    mmaction2 (see ``network``), whose C2D is another one and is not read.
    """
    base, rest = name.split("_", 1)
    weights = read_weights(state_dict, (SLOWFAST, pytorchvideo(BASES[base].pool > 1), MMACTION))
    first = weights.shape("stem.conv.weight")
    ending = re.sub(r"^(nln_)?r\d+_?(4x16|8x8)?_?", "", rest)
    blocks = placed(weights.tensors) or AFTER if "nln" in rest else ((), (), (), ())
    return load(
        name,
        lambda: network(
            base,
            depth=101 if "r101" in rest else 50,
            blocks=blocks,
            pair=PAIR_FUNCTIONS.get(ending),
            frames=4 if "4x16" in rest else 8,
            classes=weights.rows("head.weight", 400),
            channels=first[1] if first else 3,
            mmaction=weights.layout == "mmaction2",
        ),
        weights,
    )
