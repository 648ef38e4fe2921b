"""Relatives of the networks with stored answers, under every published name.

What is asked of each: ``triscope.published`` takes its published keys, and it has as many
parameters as published (the model zoos, the facts, or the published code where it was counted).
"""

from __future__ import annotations

from collections.abc import Callable

import motion_keys as keys
import pytest
import torch
from motion_keys import Shapes, grown, several, stored, without
from test_motion import TAPS
from torch import Tensor

import triscope
from triscope.errors import UnknownModel
from triscope.kernel.catalogue import published_names

pytestmark = pytest.mark.real
PATHS = r"blocks\.3\.multipathway_blocks\.{}\.res_blocks\."
NUMBERS = r"blocks\.{}\.res_blocks\."


def slowfast_r101(slow: int = 23, fast: int = 23) -> Shapes:
    """R101: 23 blocks in res4, of which some look over time; lateral filters of 5 frames."""
    shapes = several(stored("slowfast_r50"), PATHS, (23, 23), 0, 1)
    for path, moving in enumerate((slow, fast)):
        still = "|".join(str(n) for n in range(moving, 23)) or "none"
        part = PATHS.format(path) + rf"({still})\.branch2\.conv_a"
        shapes = keys.resized(shapes, part, keys.reaching(1))
    return four_by_sixteen(shapes)


def four_by_sixteen(shapes: Shapes) -> Shapes:
    return keys.resized(shapes, r"conv_fast_to_slow\.weight$", keys.reaching(5))


def slowfast_nln() -> Shapes:
    shapes = keys.official_slowfast(four_by_sixteen(stored("slowfast_r50")))
    shapes = keys.with_nonlocals(shapes, 3, 512, (1, 3))
    return keys.with_nonlocals(shapes, 4, 1024, (1, 3, 5))


def slowfast_nln_r101() -> Shapes:
    return keys.with_nonlocals(keys.official_slowfast(slowfast_r101(6, 6)), 4, 1024, (6, 13, 20))


def r101(name: str) -> Shapes:
    """SlowFast's networks of one pathway with 23 blocks in res4."""
    return grown(stored(name), r"s4\.pathway0_res", 23)


def csn(blocks: tuple[int, int, int, int]) -> Shapes:
    return several(stored("csn_r101"), NUMBERS, blocks, 1, 1)


def x3d_l() -> Shapes:
    return several(stored("x3d_s"), NUMBERS, (5, 10, 25, 15), 1, 2)


def x3d_xl() -> Shapes:
    """Width 2.9; the squeezed layers of res3 get 16 channels, where those of res2 keep 8."""
    return keys.resized(
        keys.mapped(XL, x3d_l()),
        r"^blocks\.2\..*norm_b\.1",
        lambda s: [16 if n == 8 else n for n in s],
    )


XL = {24: 32, 48: 72, 96: 136, 192: 280, 54: 72, 108: 162, 216: 306, 432: 630, 16: 24, 32: 40}


def swin_s() -> Shapes:
    return grown(stored("video_swin_t"), r"backbone\.layers\.2\.blocks\.", 18, 2)


def swin_b_sthv2() -> Shapes:
    """Windows of 16 frames: 31 x 13 x 13 places."""
    return keys.mapped({2535: 31 * 169}, keys.wider_swin(swin_s(), 128))


def tsm_r101() -> Shapes:
    """23 blocks in layer3, so that only every second block of each layer is shifted."""
    shapes = grown(stored("tsm_resnet50"), r"base_model\.layer3\.", 23)
    return keys.renamed(shapes, (r"(layer\d\.\d*[13579]\.conv1)\.net\.", r"\1."))


def tpn_r101() -> Shapes:
    return grown(stored("tpn_r50_8x8"), r"backbone\.layer3\.", 23)


# 17 blocks of 256 channels: 3x1x1 1024-256, 1x3x3 256-256, 1024
TPN_R101 = 91_498_336 + 17 * (3 * 1024 * 256 + 9 * 256 * 256 + 256 * 1024 + 2 * (256 + 256 + 1024))
FIVE_BLOCKS = 35_401_936 - 28_043_472  # the non-local ones

Case = tuple[Callable[[], Shapes], int]
SEGMENTS: dict[str, Case] = {
    "tsn_resnet50": (
        lambda: keys.renamed(stored("tsm_resnet50"), (r"\.net\.", ".")),
        24_327_632,
    ),
    "tsn_resnet101": (
        lambda: keys.renamed(
            grown(stored("tsm_resnet50"), r"base_model\.layer3\.", 23), (r"\.net\.", ".")
        ),
        43_319_760,
    ),
    "tsn_mobilenetv2": (lambda: keys.mobile(wrapped=False), 2_736_272),
    "tsm_mobilenetv2": (lambda: keys.mobile(wrapped=True), 2_736_272),
    "tsm_resnet101": (tsm_r101, 43_319_760),
    "two_stream_spatial": (lambda: keys.cnn_m(3), 90_627_813),
    "two_stream_temporal": (lambda: keys.cnn_m(20), 90_707_781),
    "eco_lite_4": (lambda: stored("eco_lite"), 33_518_576),
    "eco_lite_8": (lambda: stored("eco_lite_16"), 37_503_856),
    "eco_lite_32": (lambda: stored("eco_lite_16"), 37_503_856),
    "eco_full_16": (lambda: stored("eco_full"), 47_502_128),
    "i3d_rgb": (lambda: stored("i3d"), 12_697_264),
    "i3d_flow": (
        lambda: keys.resized(stored("i3d"), r"^Conv3d_1a_7x7\.conv3d", lambda s: [s[0], 2, *s[2:]]),
        12_675_312,
    ),
}
RESIDUAL: dict[str, Case] = {
    "c2d_r50": (lambda: without(stored("c2d_nln_r50"), "nonlocal"), 24_327_632),
    "c2d_r50_8x8": (lambda: without(stored("c2d_nln_r50"), "nonlocal"), 24_327_632),
    "c2d_r101": (lambda: without(r101("c2d_nln_r50"), "nonlocal"), 43_319_760),
    "c2d_nln_r50_8x8": (lambda: stored("c2d_nln_r50"), 31_686_096),
    "c2d_nln_r101": (lambda: r101("c2d_nln_r50"), 43_319_760 + FIVE_BLOCKS),
    "slow_r50": (lambda: without(stored("slow_nln_r50"), "nonlocal"), 32_454_096),
    "slow_r50_4x16": (lambda: without(stored("slow_nln_r50"), "nonlocal"), 32_454_096),
    "slow_r50_8x8": (lambda: without(stored("slow_nln_r50"), "nonlocal"), 32_454_096),
    "slow_r101": (lambda: without(r101("slow_nln_r50"), "nonlocal"), 60_359_120),
    "slow_r101_8x8": (
        lambda: keys.as_mmaction(without(r101("slow_nln_r50"), "nonlocal")),
        60_359_120,
    ),
    "slow_nln_r50_4x16": (lambda: stored("slow_nln_r50"), 39_812_560),
    "slow_nln_r50_8x8": (lambda: stored("slow_nln_r50"), 39_812_560),
    "slow_nln_r50_dot_product": (lambda: stored("slow_nln_r50"), 39_812_560),
    "slow_nln_r101": (lambda: r101("slow_nln_r50"), 60_359_120 + FIVE_BLOCKS),
    "i3d_r50": (lambda: keys.inflated(without(stored("c2d_nln_r50"), "nonlocal")), 28_043_472),
    "i3d_r50_8x8": (
        lambda: keys.as_mmaction(keys.inflated(without(stored("c2d_nln_r50"), "nonlocal"))),
        28_043_472,
    ),
    "i3d_r101": (
        lambda: keys.inflated(without(r101("c2d_nln_r50"), "nonlocal"), deep=True),
        51_754_192,
    ),
    "i3d_r101_8x8": (
        lambda: keys.inflated(without(r101("c2d_nln_r50"), "nonlocal"), deep=True),
        51_754_192,
    ),
    "i3d_nln_r50": (lambda: keys.inflated(stored("c2d_nln_r50")), 35_401_936),
    "i3d_nln_r50_8x8": (lambda: keys.inflated(stored("c2d_nln_r50")), 35_401_936),
    "i3d_nln_r101": (lambda: keys.inflated(r101("c2d_nln_r50"), deep=True), 59_112_656),
    "i3d_nln_r101_8x8": (lambda: keys.inflated(r101("c2d_nln_r50"), deep=True), 59_112_656),
}
# mmaction2's non-local networks: no bias behind the block
for base, plain in (("slow", 39_808_464), ("i3d", 35_397_840)):
    for pair, more in (
        ("embedded_gaussian", 0),
        ("gaussian", 31_723_728 - 35_397_840),
        ("concatenation", 2 * 512 + 3 * 1024),
        ("dot_product", 0),
    ):
        RESIDUAL.setdefault(
            f"{base}_nln_r50_{pair}",
            (
                lambda b=base, p=pair: keys.nonlocal_mmaction(  # type: ignore[misc]
                    stored("slow_nln_r50") if b == "slow" else keys.inflated(stored("c2d_nln_r50")),
                    p,
                ),
                plain + more,
            ),
        )
RESIDUAL["slow_nln_r50_4x16_embedded_gaussian"] = RESIDUAL["slow_nln_r50_embedded_gaussian"]
MODERN: dict[str, Case] = {
    "slowfast_r50_4x16": (lambda: four_by_sixteen(stored("slowfast_r50")), 34_480_216),
    "slowfast_r50_8x8": (lambda: stored("slowfast_r50"), 34_566_488),
    "slowfast_r101": (slowfast_r101, 62_826_968),
    "slowfast_r101_8x8": (slowfast_r101, 62_826_968),
    "slowfast_r101_50_50": (lambda: slowfast_r101(6, 6), 53_774_808),
    "slowfast_r101_50_50_8x8": (lambda: slowfast_r101(6, 6), 53_774_808),
    "slowfast_r101_50_50_16x8": (lambda: slowfast_r101(6, 6), 53_774_808),
    "slowfast_r101_50_101": (lambda: slowfast_r101(6, 23), 53_914_072),
    "slowfast_r101_50_101_8x8": (lambda: slowfast_r101(6, 23), 53_914_072),
    "slowfast_r101_r50_4x16": (
        lambda: keys.mmaction_slowfast(
            four_by_sixteen(grown(stored("slowfast_r50"), PATHS.format(0), 23))
        ),
        62_384_312,
    ),
    "slowfast_nln_r50": (slowfast_nln, 41_838_680),
    "slowfast_nln_r50_4x16": (slowfast_nln, 41_838_680),
    "slowfast_nln_r50_8x8": (slowfast_nln, 41_838_680),
    "slowfast_nln_r101_50_50_16x8": (slowfast_nln_r101, 60_080_088),
    "csn_r50": (lambda: csn((3, 4, 6, 3)), 13_131_152),
    "csn_r50_ir": (lambda: keys.vmz(csn((3, 4, 6, 3)), ip=False), 13_131_152),
    "csn_r50_ip": (lambda: keys.vmz(csn((3, 4, 6, 3)), ip=True), 14_396_176),
    "csn_r101_ir": (lambda: stored("csn_r101"), 22_213_776),
    "csn_r101_ip": (lambda: keys.vmz(stored("csn_r101"), ip=True), 24_601_616),
    "csn_r152": (lambda: csn((3, 8, 36, 3)), 29_703_568),
    "csn_r152_ir": (lambda: keys.vmz(csn((3, 8, 36, 3)), ip=False), 29_703_568),
    "csn_r152_ip": (lambda: keys.vmz(csn((3, 8, 36, 3)), ip=True), 33_016_592),
    "x3d_xs": (lambda: stored("x3d_s"), 3_794_274),
    "x3d_m": (lambda: stored("x3d_s"), 3_794_274),
    "x3d_l": (x3d_l, 6_153_384),
    "x3d_xl": (x3d_xl, 11_095_840),
    "tpn_r50_16x4": (lambda: stored("tpn_r50_8x8"), 91_498_336),
    "tpn_r50_32x2": (lambda: stored("tpn_r50_8x8"), 91_498_336),
    "tpn_r101_8x8": (tpn_r101, TPN_R101),
    "tpn_r101_16x4": (tpn_r101, TPN_R101),
    "tpn_r101_32x2": (tpn_r101, TPN_R101),
    "video_swin_s": (swin_s, 49_816_678),
    "video_swin_b": (lambda: keys.wider_swin(swin_s(), 128), 88_048_984),
    "video_swin_l": (lambda: keys.wider_swin(swin_s(), 192), 196_953_916),
    "video_swin_b_sthv2": (
        swin_b_sthv2,  # tables of 16 frames for 4, 8, 16, 32 heads in 2, 2, 18, 2 blocks
        88_048_984 + (31 - 15) * 169 * (2 * 4 + 2 * 8 + 18 * 16 + 2 * 32),
    ),
    "mvit_v2_b": (lambda: keys.mvit(24, (2, 5, 21), 32), 51_230_128),
    "mvit_v2_l": (keys.mvit_l, 213_390_112),
}
RELATIVES = SEGMENTS | RESIDUAL | MODERN


def blank(shapes: Shapes) -> dict[str, Tensor]:
    """Tensors of these shapes, without memory."""
    whole = ("num_batches_tracked", "relative_position_index")
    kind = lambda key: torch.int64 if key.endswith(whole) else torch.float32  # noqa: E731
    return {k: torch.empty(v, device="meta", dtype=kind(k)) for k, v in shapes.items()}


@pytest.mark.parametrize("name", RELATIVES)
def test_relatives_take_their_published_keys_and_have_the_published_size(name: str) -> None:
    shapes, parameters = RELATIVES[name]
    network = triscope.published(name, blank(shapes()))
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert not network.training


def test_mmaction2_has_its_own_keys_for_mvit() -> None:
    network = triscope.published(
        "mvit_v2_b", blank(keys.mvit_mmaction(RELATIVES["mvit_v2_b"][0]()))
    )
    assert sum(p.numel() for p in network.parameters()) == 51_230_128


def test_every_published_name_of_video_is_tried() -> None:
    """Names that other files of these tests try: the stored ones, and the twins in torchvision."""
    named = {n for n, where in published_names().items() if "motion" in str(where)}
    others = {*TAPS, "mvit_v2_s", "video_swin_t", "tsm_online_mobilenetv2", "tsm_resnet50",
              "r3d_18", "mc3_18", "r2plus1d_18", "s3d", "swin3d_t", "swin3d_s",
              "swin3d_b"}  # fmt: skip
    ours = {"x3d_xxl"}  # the next step in width and size; nobody published one
    assert named == {*RELATIVES} | others | ours


@pytest.mark.parametrize(
    ("given", "near"),
    [("slowfast_r51", "slowfast_r50"), ("x3d", "x3d_l"), ("swin_t", "swin3d_t")],
)
def test_an_unknown_name_lists_those_that_are_near(given: str, near: str) -> None:
    with pytest.raises(UnknownModel, match=f"Did you mean .*{near}.*'triscope models --published'"):
        triscope.published(given, {})
