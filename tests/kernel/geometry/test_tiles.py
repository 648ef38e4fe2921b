"""Windows cover the image, and blending neither adds seams nor changes a constant."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triscope.errors import BadSettings
from triscope.kernel.geometry import tiles

SIDES = st.integers(1, 90)


@st.composite
def plans(draw):
    tile = draw(st.integers(1, 40))
    return tiles.plan((draw(SIDES), draw(SIDES)), tile, draw(st.integers(0, tile - 1)))


@settings(max_examples=60, deadline=None)
@given(plans())
def test_every_pixel_is_in_a_window_and_no_window_leaves_the_image(plan):
    seen = np.zeros([max(side, plan.tile) for side in plan.size], int)
    for top, left in plan:
        seen[top : top + plan.tile, left : left + plan.tile] += 1
        assert top == 0 or top + plan.tile <= plan.size[0]
        assert left == 0 or left + plan.tile <= plan.size[1]
    assert seen.min() >= 1


@settings(max_examples=60, deadline=None)
@given(plans())
def test_a_constant_stays_constant(plan):
    whole = tiles.blend([np.full((plan.tile, plan.tile), 7.0)] * len(plan), plan)
    assert whole.shape == plan.size
    np.testing.assert_allclose(whole, 7.0, rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(plans(), st.integers(0, 2**32 - 1))
def test_cut_and_blend_give_the_image_back(plan, seed):
    image = np.random.default_rng(seed).random(plan.size, np.float32)
    np.testing.assert_allclose(tiles.blend(tiles.cut(image, plan), plan), image, atol=1e-5)


def test_shares_of_a_pixel_sum_to_one_and_fall_towards_the_seam():
    plan = tiles.plan((100, 100), 40, 10)
    assert plan.tops == (0, 30, 60)
    shares = tiles.shares(plan.tops, 40)
    assert np.all(np.diff(shares[1][:11]) > 0)
    assert np.all(np.diff(shares[1][29:]) < 0)
    total = np.zeros(100)
    for start, share in zip(plan.tops, shares, strict=True):
        total[start : start + 40] += share
    np.testing.assert_allclose(total, 1, rtol=1e-6)


def test_a_step_between_two_windows_becomes_a_ramp():
    plan = tiles.plan((8, 28), 16, 4)
    left, right = np.zeros((16, 16)), np.ones((16, 16))
    row = tiles.blend([left, right], plan)[0]
    assert np.abs(np.diff(row)).max() < 0.21


def test_the_last_window_is_shifted_inside():
    assert tiles.plan((10, 25), 10, 0).lefts == (0, 10, 15)


def test_maps_of_another_resolution_are_brought_to_pixels():
    plan = tiles.plan((64, 96), 32, 8)
    whole = tiles.blend([np.full((7, 7), 3.0)] * len(plan), plan)
    np.testing.assert_allclose(whole, 3.0, rtol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (1, 40), (5, 5, 3)])
def test_a_small_image_is_continued(shape):
    image = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    (window,) = tiles.cut(image[:16, :16], tiles.plan(image[:16, :16].shape[:2], 16))
    assert window.shape[:2] == (16, 16)
    np.testing.assert_array_equal(window[: shape[0], : min(16, shape[1])], image[:16, :16])


def test_messages():
    with pytest.raises(BadSettings, match="tile=0: expected the side of a window in pixels"):
        tiles.plan((4, 4), 0)
    with pytest.raises(BadSettings, match="overlap=8: expected 0 <= overlap < tile=8, in pixels"):
        tiles.plan((4, 4), 8, 8)
    with pytest.raises(ValueError, match=r"for an image of \(4, 4\), got \(5, 5\)"):
        list(tiles.cut(np.zeros((5, 5)), tiles.plan((4, 4), 8)))
    with pytest.raises(ValueError, match="has 1 windows, got 0 maps"):
        tiles.blend([], tiles.plan((4, 4), 8))
    with pytest.raises(ValueError, match="has 1 windows, got more maps"):
        tiles.blend([np.zeros((8, 8))] * 2, tiles.plan((4, 4), 8))
