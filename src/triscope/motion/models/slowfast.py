"""SlowFast: a slow pathway sees what, a fast and thin one sees how it moves (arXiv:1812.03982).

Feichtenhofer, Fan, Malik, He: SlowFast Networks for Video Recognition, ICCV 2019.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from triscope.kernel.catalogue import model, published
from triscope.motion.models._clip_model import ClipModel, ClipSettings
from triscope.motion.models._layouts import (
    MMACTION_BLOCK,
    PYTORCHVIDEO_BLOCK,
    SLOWFAST_BLOCK,
)
from triscope.motion.models._loading import Layout, load, read_weights
from triscope.motion.models._resnet3d import (
    BLOCKS,
    EVERYWHERE,
    Clip,
    NonLocal,
    Stem,
    placed,
    pooled,
    stage,
)

SlowFrames = Literal["linspace", "nearest"]
PATHS = ("slow", "fast")


class Lateral(nn.Module):
    """Fast to slow: a convolution over time with stride alpha and twice the channels."""

    def __init__(self, channels: int, alpha: int, reach: int, *, norm: bool) -> None:
        super().__init__()
        self.conv = nn.Conv3d(
            channels, 2 * channels, (reach, 1, 1), (alpha, 1, 1), (reach // 2, 0, 0), bias=False
        )
        if norm:
            self.bn = nn.BatchNorm3d(2 * channels)

    def forward(self, fast: Clip) -> Float[Tensor, "b d s h w"]:
        x = self.conv(fast)
        return F.relu(self.bn(x)) if hasattr(self, "bn") else x


class Pathway(nn.Module):
    """Stem and stages of one pathway."""

    def __init__(self, stem: Stem) -> None:
        super().__init__()
        self.stem = stem
        self.stages = nn.ModuleList()


class SlowFast(nn.Module):
    """Two pathways with lateral connections behind stem, res2, res3 and res4.

    ``alpha`` is the ratio of their frame rates, ``beta_inv`` that of their widths; only the first
    ``res4_in_time`` bottlenecks of res4 look over time in the slow and in the fast path (all of
    them where None); ``fast_depth`` is that of the fast path where it is another; ``nonlocals``
    says after which bottlenecks of the slow path non-local blocks stand. Library differences are
    arguments: ``lateral_norm`` (BN and ReLU after a lateral convolution), ``fast_first`` (order at
    the classifier), ``slow_frames`` (which frames the slow path gets), ``everywhere`` (the head
    averages over the whole map, not over windows of the size of training).
    """

    def __init__(
        self,
        *,
        depth: int = 50,
        fast_depth: int | None = None,
        alpha: int = 4,
        beta_inv: int = 8,
        reach: int = 7,
        frames: int = 32,
        res4_in_time: tuple[int | None, int | None] = (None, None),
        nonlocals: Sequence[Sequence[int]] = ((), (), (), ()),
        classes: int = 400,
        channels: int = 3,
        dropout: float = 0.5,
        lateral_norm: bool = True,
        fast_first: bool = False,
        slow_frames: SlowFrames = "linspace",
        everywhere: bool = False,
    ) -> None:
        super().__init__()
        self.alpha = alpha
        self.windows = ((frames // alpha, 7, 7), (frames, 7, 7))
        if everywhere:
            self.windows = (EVERYWHERE, EVERYWHERE)
        self.fast_first, self.slow_frames = fast_first, slow_frames
        thin = 64 // beta_inv
        self.slow = Pathway(Stem(channels, 64, 1))
        self.fast = Pathway(Stem(channels, thin, 5))
        self.lateral = nn.ModuleList()
        counts = zip(BLOCKS[depth], BLOCKS[fast_depth or depth], strict=True)
        for k, (count, fast_count) in enumerate(counts):
            inner, before = 64 * 2**k, 64 if k == 0 else 128 * 2**k
            stride = (1, 1, 1) if k == 0 else (1, 2, 2)
            thin_in = before // beta_inv
            moving = res4_in_time if k == 2 else (None, None)
            self.lateral.append(Lateral(thin_in, alpha, reach, norm=lateral_norm))
            self.slow.stages.append(
                stage(
                    before + 2 * thin_in, inner, 4 * inner, count,
                    times=_reaches(count, moving[0]) if k > 1 else (1,), stride=stride,
                    nonlocals={i: NonLocal(4 * inner, pair="dot_product") for i in nonlocals[k]},
                )
            )  # fmt: skip
            self.fast.stages.append(
                stage(
                    thin_in, inner // beta_inv, 4 * inner // beta_inv, fast_count,
                    times=_reaches(fast_count, moving[1]), stride=stride,
                )
            )  # fmt: skip
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2048 + 2048 // beta_inv, classes)

    def forward(self, clips: Clip | Sequence[Float[Tensor, "b c _ h w"]]) -> Float[Tensor, "b k"]:
        """Logits of clips (b, 3, t, h, w), or of the pair (slow, fast) cut from them."""
        slow, fast = self.pathways(clips) if isinstance(clips, Tensor) else clips
        slow, fast = self.slow.stem(slow), self.fast.stem(fast)
        stages = zip(self.lateral, self.slow.stages, self.fast.stages, strict=True)
        for lateral, slow_stage, fast_stage in stages:
            slow = slow_stage(torch.cat((slow, lateral(fast)), dim=1))
            fast = fast_stage(fast)
        seen = [pooled(slow, self.windows[0]), pooled(fast, self.windows[1])]
        if self.fast_first:
            seen.reverse()
        return self.head(self.dropout(torch.cat(seen, dim=-1))).mean((1, 2, 3))

    def pathways(self, clips: Clip) -> tuple[Float[Tensor, "b c s h w"], Clip]:
        """The slow and the fast pathway's frames of a clip."""
        t = clips.shape[2]
        count = t // self.alpha
        if self.slow_frames == "nearest":
            index = torch.arange(count) * t // count
        else:
            index = torch.linspace(0, t - 1, count).long()
        return clips.index_select(2, index.to(clips.device)), clips


def _reaches(count: int, moving: int | None) -> tuple[int, ...]:
    """Frames that the first convolution of each bottleneck sees: 3 in the first ``moving``."""
    moving = count if moving is None else moving
    return (3,) * moving + (1,) * (count - moving)


def _pathway(match: Any) -> str:
    return f"{PATHS[int(match[2])]}.stages.{int(match[1]) - 2}.blocks.{match[3]}."


LAYOUTS = (
    Layout(
        "SlowFast",
        r"^s1\.pathway1_stem\.",
        (
            (r"^s1\.pathway([01])_stem\.", lambda m: f"{PATHS[int(m[1])]}.stem."),
            (r"^s(\d)_fuse\.conv_f2s\.", lambda m: f"lateral.{int(m[1]) - 1}.conv."),
            (r"^s(\d)_fuse\.bn\.", lambda m: f"lateral.{int(m[1]) - 1}.bn."),
            (r"^s(\d)\.pathway([01])_res(\d+)\.", _pathway),
            (
                r"^s(\d)\.pathway0_nonlocal(\d+)\.",
                lambda m: f"slow.stages.{int(m[1]) - 2}.nonlocals.{m[2]}.",
            ),
            (r"\.conv_(theta|phi|g|out)\.", r".\1."),
            *SLOWFAST_BLOCK,
            (r"^head\.projection\.", "head."),
        ),
    ),
    Layout(
        "pytorchvideo",
        r"multipathway_blocks",
        (
            (r"^blocks\.0\.multipathway_blocks\.([01])\.", lambda m: f"{PATHS[int(m[1])]}.stem."),
            (r"\.stem\.norm\.", ".stem.bn."),
            (
                r"^blocks\.(\d)\.multipathway_blocks\.([01])\.res_blocks\.(\d+)\.",
                lambda m: f"{PATHS[int(m[2])]}.stages.{int(m[1]) - 1}.blocks.{m[3]}.",
            ),
            (r"^blocks\.(\d)\.multipathway_fusion\.conv_fast_to_slow\.", r"lateral.\1.conv."),
            (r"^blocks\.(\d)\.multipathway_fusion\.norm\.", r"lateral.\1.bn."),
            *PYTORCHVIDEO_BLOCK,
            (r"^blocks\.6\.proj\.", "head."),
        ),
    ),
    Layout(
        "mmaction2",
        r"^backbone\.slow_path\.",
        (
            (r"^backbone\.(slow|fast)_path\.", r"\1."),
            (r"^(slow|fast)\.conv1\.conv\.", r"\1.stem.conv."),
            (r"^(slow|fast)\.conv1\.bn\.", r"\1.stem.bn."),
            (r"^slow\.conv1_lateral\.", "lateral.0."),
            (r"^slow\.layer(\d)_lateral\.", r"lateral.\1."),
            *MMACTION_BLOCK,
            (r"^cls_head\.fc_cls\.", "head."),
        ),
    ),
)

AFTER = ((), (1, 3), (1, 3, 5), ())  # the non-local blocks of the published configuration


@dataclass(frozen=True)
class Variant:
    """What differs between the published networks."""

    depth: int
    alpha: int  # frames of the fast pathway for one of the slow
    reach: int  # of the lateral convolutions, in frames
    frames: int = 32  # of the fast pathway
    res4_in_time: tuple[int | None, int | None] = (None, None)  # bottlenecks, slow and fast
    nonlocals: tuple[tuple[int, ...], ...] = ((), (), (), ())
    fast_depth: int | None = None


VARIANTS: Mapping[str, Variant] = {
    "slowfast_r50": Variant(50, 4, 7),
    "slowfast_r50_4x16": Variant(50, 8, 5),
    "slowfast_r101": Variant(101, 4, 5),
    "slowfast_r101_50_50": Variant(101, 4, 5, res4_in_time=(6, 6)),
    "slowfast_r101_50_50_16x8": Variant(101, 4, 5, 64, res4_in_time=(6, 6)),
    "slowfast_r101_50_101": Variant(101, 4, 5, res4_in_time=(6, None)),
    "slowfast_r101_r50_4x16": Variant(101, 8, 5, fast_depth=50),  # mmaction2's
    "slowfast_nln_r50": Variant(50, 4, 5, nonlocals=AFTER),
    "slowfast_nln_r50_4x16": Variant(50, 8, 5, nonlocals=AFTER),
    "slowfast_nln_r101_50_50_16x8": Variant(
        101, 4, 5, 64, res4_in_time=(6, 6), nonlocals=((), (), (6, 13, 20), ())
    ),
}


def network(name: str, *, classes: int = 400, channels: int = 3, **differences: Any) -> SlowFast:
    """The network of that name; ``differences`` are those between libraries (see SlowFast)."""
    variant = VARIANTS[name]
    values = {f.name: getattr(variant, f.name) for f in fields(Variant)}
    return SlowFast(classes=classes, channels=channels, **{**values, **differences})


@dataclass(frozen=True)
class Settings(ClipSettings):
    """Frames are those of the fast pathway."""

    variant: Literal[
        "slowfast_r50",
        "slowfast_r50_4x16",
        "slowfast_r101",
        "slowfast_r101_50_50",
        "slowfast_r101_50_50_16x8",
        "slowfast_r101_50_101",
        "slowfast_r101_r50_4x16",
        "slowfast_nln_r50",
        "slowfast_nln_r50_4x16",
        "slowfast_nln_r101_50_50_16x8",
    ] = "slowfast_r50"  # of the published networks
    sampling: Literal["segments", "dense"] = "dense"  # frames in a row
    frames: int = 32  # of the fast pathway
    size: int = 224  # side of the square that the network sees, in pixels


@model("slowfast", answers="Moments")
class SlowFastModel(ClipModel):
    """A slow pathway for what, a fast one for how it moves."""

    mean, std = (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)

    def __init__(self, settings: Settings = Settings()) -> None:
        super().__init__(settings)

    def build(self, classes: int) -> nn.Module:
        s = self.settings
        return network(s.variant, classes=classes, dropout=s.dropout, frames=s.frames)

    def published(self) -> str:
        return str(self.settings.variant)


@published(
    "slowfast_r50", "slowfast_r50_4x16", "slowfast_r50_8x8", "slowfast_r101", "slowfast_r101_8x8",
    "slowfast_r101_50_50", "slowfast_r101_50_50_8x8", "slowfast_r101_50_50_16x8",
    "slowfast_r101_50_101", "slowfast_r101_50_101_8x8", "slowfast_r101_r50_4x16",
    "slowfast_nln_r50", "slowfast_nln_r50_4x16", "slowfast_nln_r50_8x8",
    "slowfast_nln_r101_50_50_16x8",
)  # fmt: skip
def build(name: str, state_dict: Mapping[str, Any]) -> nn.Module:
    """Clips (b, 3, t, h, w), or the list [slow, fast], to logits (b, k).

    Keys of SlowFast, pytorchvideo or mmaction2. The last has no BN and ReLU in its lateral
    connections unless the file holds them, puts the fast features first at the classifier, picks
    the slow frames by nearest interpolation and averages over the whole map: its keys are read as
    that variant. The reach of the lateral convolutions (5 or 7 frames) is read from the file.
    """
    weights, name = read_weights(state_dict, LAYOUTS), name.removesuffix("_8x8")
    theirs = weights.layout == "mmaction2"
    lateral = weights.shape("lateral.0.conv.weight")
    return load(
        name,
        lambda: network(
            name,
            classes=weights.rows("head.weight", 400),
            reach=lateral[2] if lateral else VARIANTS[name].reach,
            nonlocals=placed(weights.tensors, r"slow\.") or VARIANTS[name].nonlocals,
            lateral_norm=weights.has(r"^lateral\.0\.bn\.") or not theirs,
            fast_first=theirs,
            slow_frames="nearest" if theirs else "linspace",
            everywhere=theirs,
        ),
        weights,
    )
