"""Relatives of the networks with stored answers: their published keys, grown from those stored.

A deeper network repeats the keys of the last blocks of a stage, a wider one has other sides. What
is asked of each: ``triscope.published`` takes its keys, and it has as many parameters as published.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import triscope
from outside import parity

pytestmark = pytest.mark.real
Shapes = dict[str, list[int]]


def stored(name: str) -> Shapes:
    return dict(json.loads((parity("motion") / f"{name}.json").read_text())["state_dict"])


def grown(shapes: Shapes, stage: str, blocks: int, every: int = 1) -> Shapes:
    """The stage with so many blocks; new ones are like the one ``every`` places before them."""
    found = {k: m for k in shapes if (m := re.match(rf"({stage})(\d+)(\..*)", k))}
    rest = {k: v for k, v in shapes.items() if k not in found}
    have = 1 + max(int(m[2]) for m in found.values())
    for number in range(blocks):
        source = number if number < have else have - every + (number - have) % every
        for key, m in found.items():
            if int(m[2]) == source:
                rest[f"{m[1]}{number}{m[3]}"] = shapes[key]
    return rest


def several(shapes: Shapes, stages: str, blocks: tuple[int, ...], first: int, every: int) -> Shapes:
    for i, count in enumerate(blocks):
        shapes = grown(shapes, stages.format(first + i), count, every)
    return shapes


def without(shapes: Shapes, part: str) -> Shapes:
    return {key: shape for key, shape in shapes.items() if part not in key}


def fewer_lateral(shapes: Shapes) -> Shapes:
    """4x16 and R101: the lateral connections see 5 frames in place of 7."""
    lateral = "conv_fast_to_slow.weight"
    return {k: [*s[:2], 5, 1, 1] if k.endswith(lateral) else s for k, s in shapes.items()}


def inflated(shapes: Shapes) -> Shapes:
    """I3D from C2D: five frames in the first filters, three in every other first convolution."""
    places = {2: (0, 1, 2), 3: (0, 2), 4: (0, 2, 4), 5: (1,)}
    out = dict(shapes)
    out["s1.pathway0_stem.conv.weight"] = [64, 3, 5, 7, 7]
    for stage, blocks in places.items():
        for block in blocks:
            key = f"s{stage}.pathway0_res{block}.branch2.a.weight"
            out[key] = [*shapes[key][:2], 3, 1, 1]
    return out


def wider_swin(shapes: Shapes) -> Shapes:
    """Swin-B: 128 channels where Swin-S has 96; tables of places and colours stay."""

    def sides(key: str, shape: list[int]) -> list[int]:
        if key.endswith("relative_position_index"):
            return shape
        return [n if n in (2535, 400) or n < 3 or (n == 3 and i == 1 and len(shape) == 5) or n == 4
                or n == 2 else n * 4 // 3 for i, n in enumerate(shape)]  # fmt: skip

    return {key: sides(key, shape) for key, shape in shapes.items()}


def swin_s() -> Shapes:
    return grown(stored("video_swin_t"), r"backbone\.layers\.2\.blocks\.", 18, 2)


PATHS = r"blocks\.3\.multipathway_blocks\.[01]\.res_blocks\."
RELATIVES: dict[str, tuple[Callable[[], Shapes], int]] = {
    "slowfast_r101": (lambda: fewer_lateral(grown(stored("slowfast_r50"), PATHS, 23)), 62_826_968),
    "slowfast_r50_4x16": (lambda: fewer_lateral(stored("slowfast_r50")), 34_480_216),
    "slowfast_r50_8x8": (lambda: stored("slowfast_r50"), 34_566_488),
    "csn_r50": (lambda: grown(stored("csn_r101"), r"blocks\.3\.res_blocks\.", 6), 13_131_152),
    "csn_r152": (
        lambda: several(stored("csn_r101"), r"blocks\.{}\.res_blocks\.", (8, 36), 2, 1),
        29_703_568,
    ),
    "x3d_xs": (lambda: stored("x3d_s"), 3_794_274),
    "x3d_m": (lambda: stored("x3d_s"), 3_794_274),
    "x3d_l": (
        lambda: several(stored("x3d_s"), r"blocks\.{}\.res_blocks\.", (5, 10, 25, 15), 1, 2),
        6_153_384,
    ),
    "video_swin_s": (swin_s, 49_816_678),
    "video_swin_b": (lambda: wider_swin(swin_s()), 88_048_984),
    "slow_r50": (lambda: without(stored("slow_nln_r50"), "nonlocal"), 32_454_096),
    "slow_r50_8x8": (lambda: without(stored("slow_nln_r50"), "nonlocal"), 32_454_096),
    "c2d_r50": (lambda: without(stored("c2d_nln_r50"), "nonlocal"), 24_327_632),
    "i3d_nln_r50": (lambda: inflated(stored("c2d_nln_r50")), 35_401_936),
    "i3d_r50": (lambda: inflated(without(stored("c2d_nln_r50"), "nonlocal")), 28_043_472),
    "tsn_resnet50": (
        lambda: {k.replace(".net.", "."): s for k, s in stored("tsm_resnet50").items()},
        24_327_632,
    ),
    "eco_lite_4": (lambda: stored("eco_lite"), 33_518_576),
    "eco_full_16": (lambda: stored("eco_full"), 47_502_128),
    "tpn_r50_16x4": (lambda: stored("tpn_r50_8x8"), 91_498_336),
    "tpn_r101_8x8": (
        # 17 blocks of 256 channels: 3x1x1 1024-256, 1x3x3 256-256, 1024
        lambda: grown(stored("tpn_r50_8x8"), r"backbone\.layer3\.", 23),
        91_498_336 + 17 * (3 * 1024 * 256 + 9 * 256 * 256 + 256 * 1024 + 2 * (256 + 256 + 1024)),
    ),
}


def filled(shapes: Shapes) -> dict[str, Tensor]:
    """Zeros of these shapes, without memory."""
    whole = ("num_batches_tracked", "relative_position_index")
    kind = lambda key: torch.int64 if key.endswith(whole) else torch.float32  # noqa: E731
    return {key: torch.zeros((), dtype=kind(key)).expand(shape) for key, shape in shapes.items()}


@pytest.mark.parametrize("name", RELATIVES)
def test_relatives_take_their_published_keys_and_have_the_published_size(name: str) -> None:
    shapes, parameters = RELATIVES[name]
    network = triscope.published(name, filled(shapes()))
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert not network.training
