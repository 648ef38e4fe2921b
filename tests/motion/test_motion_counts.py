"""Networks of video: parameters and multiply-adds against published tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import nn

from triscope.motion.cost import cost
from triscope.motion.models import (
    csn,
    deepvideo,
    eco,
    i3d,
    mvit,
    non_local,
    r3d,
    s3d,
    slowfast,
    tpn,
    tsm,
    tsn,
    two_stream,
    video_swin,
    x3d,
)

PLAIN = ((), (), (), ())
FIRST = ((), (0, 2), (0, 2, 4), ())  # where mmaction2 puts its non-local blocks
R101_16X8 = "slowfast_r101_50_50_16x8"

# Parameters and 1e9 multiply-adds at the stated input; the papers' tables and the published code.
COUNTS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int, float]] = {
    "x3d_xs": (lambda: x3d.X3d(x3d.SHAPES["x3d_xs"]), (4, 160), 3_794_322, 0.605),
    "x3d_s": (lambda: x3d.X3d(x3d.SHAPES["x3d_s"]), (13, 160), 3_794_322, 1.963),
    "x3d_s at 182": (lambda: x3d.X3d(x3d.SHAPES["x3d_s"]), (13, 182), 3_794_322, 2.727),
    "x3d_m": (lambda: x3d.X3d(x3d.SHAPES["x3d_m"]), (16, 224), 3_794_322, 4.733),
    "x3d_l": (lambda: x3d.X3d(x3d.SHAPES["x3d_l"]), (16, 312), 6_153_432, 18.37),
    "x3d_xl": (lambda: x3d.X3d(x3d.SHAPES["x3d_xl"]), (16, 312), 11_095_904, 35.84),
    "slowfast_r50": (lambda: slowfast.network("slowfast_r50"), (32, 224), 34_566_488, 50.31),
    "slowfast 4x16": (lambda: slowfast.network("slowfast_r50_4x16"), (32, 224), 34_480_216, 27.64),
    "slowfast_r101": (lambda: slowfast.network("slowfast_r101"), (32, 224), 62_826_968, 96.40),
    "slowfast 16x8": (lambda: slowfast.network(R101_16X8), (64, 224), 53_774_808, 163.1),
    "slow_r50": (lambda: non_local.network("slow", blocks=PLAIN), (8, 224), 32_454_096, 41.74),
    "i3d_r50": (lambda: non_local.network("i3d", blocks=PLAIN), (8, 224), 28_043_472, 28.41),
    "i3d_nln_r50": (lambda: non_local.network("i3d"), (8, 224), 35_401_936, 36.54),
    "i3d of mmaction2": (
        lambda: non_local.network("i3d", blocks=PLAIN, mmaction=True),
        (32, 224),
        28_043_472,
        33.13,
    ),
    "i3d nln of mmaction2": (
        lambda: non_local.network("i3d", blocks=FIRST, mmaction=True),
        (32, 224),
        35_397_840,
        44.34,
    ),
    "i3d nln of mmaction2, gaussian": (
        lambda: non_local.network("i3d", blocks=FIRST, pair="gaussian", mmaction=True),
        (32, 224),
        31_723_728,
        41.72,
    ),
    "csn ir 50": (lambda: csn.Csn(depth=50), (32, 224), 13_131_152, 42.31),
    "csn ir 101": (lambda: csn.Csn(depth=101), (32, 224), 22_213_776, 56.47),
    "csn ir 152": (lambda: csn.Csn(depth=152), (32, 224), 29_703_568, 74.05),
    "csn ip 152": (lambda: csn.Csn(depth=152, interaction="ip"), (32, 224), 33_016_592, 83.29),
    "i3d": (i3d.I3d, (64, 224), 12_697_264, 111.15),
    "i3d flow": (lambda: i3d.I3d(channels=2), (64, 224), 12_675_312, 102.3),
    "eco lite": (eco.Eco, (16, 224), 37_503_856, 46.49),
    "eco full": (lambda: eco.Eco(full=True), (16, 224), 47_502_128, 64.41),
    "tpn": (tpn.Tpn, (8, 224), 91_498_336, 50.28),
    "video_swin_t": (lambda: video_swin.network("video_swin_t"), (32, 224), 28_158_070, 87.76),
    "video_swin_s": (lambda: video_swin.network("video_swin_s"), (32, 224), 49_816_678, 165.7),
    "video_swin_b": (lambda: video_swin.network("video_swin_b"), (32, 224), 88_048_984, 281.3),
    "mvit_v2_s": (lambda: mvit.Mvit(mvit.VARIANTS["mvit_v2_s"]), (16, 224), 34_537_744, 64.22),
    "mvit_v2_b": (lambda: mvit.Mvit(mvit.VARIANTS["mvit_v2_b"]), (32, 224), 51_230_128, 224.5),
    "tsn_resnet50": (lambda: tsn.network("resnet50"), (8, 224), 24_327_632, 32.70),
    "tsm_mobilenetv2": (lambda: tsm.network("mobilenetv2"), (8, 224), 2_736_272, 2.40),
    "deepvideo": (lambda: deepvideo.DeepVideo("single"), (1, 170), 73_908_071, 1.2266),
    "s3d": (s3d.S3d, (16, 224), 8_320_048, 17.98),
    "r3d_18": (lambda: r3d.R3d("full"), (16, 112), 33_371_472, 40.70),
    "mc3_18": (lambda: r3d.R3d("mixed"), (16, 112), 11_695_440, 43.34),
    "r2plus1d_18": (lambda: r3d.R3d("factored"), (16, 112), 31_505_325, 40.52),
}


def blank(build: Callable[[], nn.Module]) -> nn.Module:
    """Built without memory: only shapes count here."""
    with torch.device("meta"):
        return build()


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_and_multiply_adds_are_the_published_ones(name: str) -> None:
    build, (frames, side), parameters, giga = COUNTS[name]
    channels = 2 if name == "i3d flow" else 3
    found = cost(blank(build), (1, channels, frames, side, side))
    assert found.parameters == parameters
    assert found.giga == pytest.approx(giga, rel=1e-3)


@pytest.mark.long
def test_the_large_ones_have_about_the_printed_size() -> None:
    """The papers print 197 M and 604 G, 217.6 M and 2828 G (rounded, other details of the head)."""
    swin = cost(blank(lambda: video_swin.network("video_swin_l")), (1, 3, 32, 224, 224))
    assert swin.parameters == 196_953_916 and swin.giga == pytest.approx(604, rel=2e-3)
    large = cost(blank(lambda: mvit.Mvit(mvit.VARIANTS["mvit_v2_l"])), (1, 3, 40, 312, 312))
    assert large.parameters == pytest.approx(217.6e6, rel=0.02)
    assert large.giga == pytest.approx(2828, rel=2e-3)


def test_tsm_online_costs_one_frame() -> None:
    online = blank(lambda: tsm.Online(tsm.network("mobilenetv2", both=False, classes=27)))
    found = cost(online, (1, 3, 224, 224))
    assert found.parameters == 2_258_459 and found.giga == pytest.approx(0.2995, rel=1e-3)


def test_two_stream_networks_have_the_published_layers() -> None:
    looks = cost(blank(two_stream.spatial), (1, 3, 224, 224))
    moves = cost(blank(two_stream.temporal), (1, 20, 224, 224))
    assert looks.parameters / 1e6 == pytest.approx(90.63, abs=0.005)
    assert moves.parameters / 1e6 == pytest.approx(90.71, abs=0.005)
    assert (looks.giga, moves.giga) == pytest.approx((1.66, 2.61), abs=0.005)


# ---- the expansion of X3D -----------------------------------------------------------------------


def test_the_expansion_starts_where_the_paper_starts_and_doubles() -> None:
    start = x3d.SHAPES["x2d"]
    clip = lambda shape: (1, 3, shape.frames, shape.size, shape.size)  # noqa: E731
    first = cost(blank(lambda: x3d.X3d(start)), clip(start)).multiply_adds
    assert first / 1e6 == pytest.approx(20.66, abs=0.01)
    steps = x3d.candidates(start)
    assert set(steps) == {"fast", "temporal", "spatial", "depth", "width", "bottleneck"}
    ratios = {
        axis: cost(blank(lambda s=shape: x3d.X3d(s)), clip(shape)).multiply_adds / first
        for axis, shape in steps.items()
    }
    assert ratios["bottleneck"] == pytest.approx(1.98, abs=0.01)  # 41.0 M, the paper's first step
    assert all(1.5 < ratio < 2.6 for ratio in ratios.values()), ratios
    for axis, shape in steps.items():
        changed = [f for f in dataclasses.asdict(start) if getattr(start, f) != getattr(shape, f)]
        assert set(changed) <= {"frames", "step"} if axis == "fast" else len(changed) == 1
