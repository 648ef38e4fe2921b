"""Streaming metrics of pixels: within their stated error of the exact ones, merged in any order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from slow_metrics import painted, slow_aupro

from triscope.errors import BadLabels, BadSettings, EmptyData
from triscope.kernel.metrics import Pixels, aupro, dice, iou, mask_confusion
from triscope.kernel.metrics.histogram import Histogram

FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


def seen(maps, masks, **options):
    pixels = Pixels(**options)
    for heat, mask in zip(maps, masks, strict=True):
        pixels.add(heat, mask)
    return pixels


def coarse(maps, masks, bits):
    """Pixels with far fewer bins, so that bins do hide something."""
    pixels = Pixels()
    pixels._histogram = Histogram(rows=3, bits=bits)
    for heat, mask in zip(maps, masks, strict=True):
        pixels.add(heat, mask)
    return pixels


ANSWERS = {
    "auroc": Pixels.auroc,
    "average_precision": Pixels.average_precision,
    "f1_max": Pixels.f1_max,
    "aupro_30": lambda pixels: pixels.aupro(0.3),
    "aupro_5": lambda pixels: pixels.aupro(0.05),
    "aupro_100": lambda pixels: pixels.aupro(1.0),
}


@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("levels", [None, 4])
def test_exact_aupro_is_that_of_the_definition(limit, levels):
    maps, masks = painted(seed=3, levels=levels)
    assert aupro(maps, masks, fpr_limit=limit) == pytest.approx(slow_aupro(maps, masks, limit))


def test_exact_pixel_metrics_agree_with_scikit_learn():
    maps, masks = painted(seed=1, levels=8)
    pixels = seen(maps, masks, exact=True)
    truth = np.concatenate(
        [np.zeros(h.size) if m is None else m.ravel() for h, m in zip(maps, masks, strict=True)]
    )
    scores = np.concatenate([h.ravel() for h in maps])
    assert pixels.auroc().value == pytest.approx(sk.roc_auc_score(truth, scores))
    assert pixels.average_precision().value == pytest.approx(
        sk.average_precision_score(truth, scores)
    )
    best = pixels.f1_max()
    assert best.value == pytest.approx(sk.f1_score(truth, scores > np.float32(best.threshold)))


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("shift", [0.0, 5.0, -5.0, 1000.0])
def test_streaming_is_within_a_thousandth(name, shift):
    maps, masks = painted(seed=5, images=6, shift=shift)
    exact, streamed = (ANSWERS[name](seen(maps, masks, exact=e)) for e in (True, False))
    assert exact.error == 0
    assert streamed.error <= 1e-3
    assert abs(streamed.value - exact.value) <= streamed.error + 1e-12


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    bits=st.integers(5, 8),
    levels=st.sampled_from([None, 2, 16]),
    shift=st.sampled_from([0.0, 3.0, -3.0]),
)
def test_the_stated_error_holds_however_coarse_the_bins(seed, bits, levels, shift):
    maps, masks = painted(seed=seed, images=3, side=12, levels=levels, shift=shift)
    exact, streamed = seen(maps, masks, exact=True), coarse(maps, masks, bits)
    for name, answer in ANSWERS.items():
        true, found = answer(exact), answer(streamed)
        assert abs(found.value - true.value) <= found.error + 1e-9, name


def test_the_error_tells_when_one_far_pixel_leaves_the_rest_in_few_bins():
    maps, masks = painted(seed=2, images=3)
    maps = [1000 + heat / 100 for heat in maps]
    maps[0][0, 0] = -1000
    found, true = seen(maps, masks).auroc(), seen(maps, masks, exact=True).auroc()
    assert found.error > 1e-3
    assert abs(found.value - true.value) <= found.error


def test_perfect_constant_and_inverted_detectors():
    _, masks = painted(seed=4, images=5)
    truth = [np.zeros((24, 24), bool) if m is None else m for m in masks]
    share = np.mean(truth)
    perfect = seen([t.astype(np.float32) for t in truth], masks)
    constant = seen([np.full(t.shape, 0.7, np.float32) for t in truth], masks)
    inverted = seen([-t.astype(np.float32) for t in truth], masks)
    assert [perfect.auroc().value, perfect.aupro().value] == [1, pytest.approx(1)]
    assert perfect.average_precision().value == 1
    assert constant.auroc().value == 0.5
    assert constant.average_precision().value == pytest.approx(share)
    assert constant.average_precision().error == 0
    assert constant.aupro(0.3).value == pytest.approx(0.15)
    assert [inverted.auroc().value, inverted.aupro().value] == [0, 0]


def test_small_regions_count_as_much_as_large_ones():
    mask = np.zeros((20, 20), bool)
    mask[:10, :10] = mask[15, 15] = True
    heat = np.zeros((20, 20), np.float32)
    heat[15, 15] = 1  # one of two regions is found, one of 101 pixels
    steps = seen([heat], [mask], exact=True).steps()
    assert steps.regions[0] / steps.regions.sum() == pytest.approx(0.5)


def test_regions_touching_at_a_corner_are_one():
    mask = np.eye(6, dtype=bool)
    assert seen([np.zeros((6, 6), np.float32)], [mask]).regions == 1


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1000),
    order=st.permutations(range(5)),
    cut=st.integers(0, 5),
    spread=st.sampled_from([1.0, 1e6]),
)
def test_merging_in_any_way_gives_what_one_would_have_seen(seed, order, cut, spread):
    maps, masks = painted(seed=seed, images=5, side=10)
    maps[0] = maps[0] * np.float32(spread)
    whole = seen(maps, masks).steps()
    first = seen([maps[i] for i in order[:cut]], [masks[i] for i in order[:cut]])
    rest = seen([maps[i] for i in order[cut:]], [masks[i] for i in order[cut:]])
    both = first.merged(rest)
    assert both.images == 5
    for name in ("scores", "negatives", "positives", "regions"):
        np.testing.assert_allclose(getattr(both.steps(), name), getattr(whole, name), rtol=1e-12)


def test_merging_is_associative_and_changes_neither():
    maps, masks = painted(seed=8, images=3)
    a, b, c = (seen([h * s], [m]) for h, m, s in zip(maps, masks, (1, 50, 1e9), strict=True))
    left, right = a.merged(b).merged(c), a.merged(b.merged(c))
    np.testing.assert_allclose(left.steps().regions, right.steps().regions)
    assert (left.steps().negatives == right.steps().negatives).all()
    assert a.images == 1


def test_bins_that_span_octaves_are_refused():
    """They would not lie in each other when the span grows: the stated error would not hold."""
    with pytest.raises(ValueError, match=r"2\^5 bins or more, asked were 2\^3"):
        Histogram(rows=1, bits=3)


@given(st.lists(FLOAT32, min_size=1, max_size=30), st.integers(5, 17))
def test_bins_keep_the_order_of_all_floats(values, bits):
    values = np.sort(np.array(values, np.float32) + np.float32(0))
    histogram = Histogram(rows=1, bits=bits)
    histogram.reach(values.min() + 0.0, values.max() + 0.0)
    places = histogram.places(values)
    assert (np.diff(places) >= 0).all()
    assert places[0] >= 0 and places[-1] < 2**bits
    histogram.saw(places, values)
    histogram.add(0, places)
    lowest, single, counts = histogram.used()
    of_value = np.repeat(np.arange(len(lowest)), counts[0].astype(int))
    assert len(of_value) == len(values)
    assert (lowest[of_value] <= values).all()
    assert (values[:-1] < lowest[of_value[1:]])[of_value[:-1] != of_value[1:]].all()
    for place in range(len(lowest)):
        assert single[place] == (len(np.unique(values[of_value == place])) == 1)


def test_no_bin_is_wider_than_stated():
    rng = np.random.default_rng(0)
    sizes = 2.0 ** rng.uniform(-40, 10, 200_000) * rng.choice([-1, 1], 200_000)
    values = np.append(sizes, [-1000, 1000]).astype(np.float32)
    histogram = Histogram(rows=1)
    histogram.reach(values.min(), values.max())
    places, exact = histogram.places(values), values.astype(np.float64)
    low, high = np.full(2**17, np.inf), np.full(2**17, -np.inf)
    np.minimum.at(low, places, exact)
    np.maximum.at(high, places, exact)
    low, high = low[low <= high], high[low <= high]
    nearest = np.minimum(np.abs(low), np.abs(high))
    assert (high - low <= np.maximum(nearest, 1000 * 2.0**-13) / 4096).all()


def test_bins_do_not_depend_on_how_the_span_grew():
    values = np.linspace(2, 3, 50, dtype=np.float32)
    slowly, at_once = Histogram(rows=1), Histogram(rows=1)
    for histogram, parts in ((slowly, np.split(values, 25)), (at_once, [values])):
        for part in parts:
            histogram.reach(part.min(), part.max())
            places = histogram.places(part, part.min())
            histogram.saw(places, part)
            histogram.add(0, places)
    assert (slowly.used()[0] == at_once.used()[0]).all()
    assert slowly.used()[1].all()


def test_minus_zero_is_zero():
    heat = np.array([[0.0, -0.0]], np.float32)
    assert seen([heat], [np.array([[True, False]])]).auroc().value == 0.5
    assert seen([heat - 0.0, -heat], [np.array([[True, False]])] * 2).auroc().value == 0.5


def test_exact_zeros_are_ties_and_no_doubt():
    maps, masks = painted(seed=9)
    maps = [np.maximum(heat, 0) for heat in maps]
    maps[0][0, 0] = -1000
    exact, streamed = (seen(maps, masks, exact=e).auroc() for e in (True, False))
    assert streamed.value == pytest.approx(exact.value, abs=1e-4)
    assert streamed.error < 1e-3  # half of all pixels share one number


def test_memory_stays_while_images_come():
    rng = np.random.default_rng(0)
    pixels, sizes = Pixels(), set()
    for _ in range(6):
        heat = rng.normal(size=(64, 64)).astype(np.float32)
        heat[0, :2] = -1e30, 1e30
        pixels.add(heat)
        sizes.add(pixels._histogram.counts.nbytes)
    assert len(sizes) == 1
    assert max(sizes) <= 3 * 8 * 2**17
    assert pixels._kept == []


def test_the_confusion_at_a_threshold_is_exact():
    maps, masks = painted(seed=6)
    pixels = seen(maps, masks, above=0.8)
    by_hand = [
        mask_confusion(h > 0.8, np.zeros(h.shape, bool) if m is None else m)
        for h, m in zip(maps, masks, strict=True)
    ]
    assert pixels.confusion == sum(by_hand[1:], by_hand[0])


def test_iou_and_dice_by_hand():
    found = np.array([[True, True, False, False]])
    truth = np.array([[False, True, True, False]])
    assert iou(found, truth) == pytest.approx(1 / 3)
    assert dice(found, truth) == pytest.approx(1 / 2)
    nothing = np.zeros((2, 2), bool)
    assert [iou(nothing, nothing), dice(nothing, nothing)] == [1, 1]
    with pytest.raises(BadLabels, match="a mask is bool, got float64"):
        iou(found * 0.5, truth)
    with pytest.raises(BadLabels, match=r"got \(1, 4\) and \(2, 2\)"):
        iou(found, nothing)


def test_bad_maps_are_named():
    heat = np.ones((4, 4), np.float32)
    heat[1, 2] = np.nan
    with pytest.raises(BadLabels, match="1 of 16 are not, first nan at position 6"):
        Pixels().add(heat)
    with pytest.raises(BadLabels, match=r"a score map is \(h, w\), got \(4,\)"):
        Pixels().add(np.ones(4))
    with pytest.raises(BadLabels, match=r"as large as its map \(4, 4\), got bool \(2, 2\)"):
        Pixels().add(np.ones((4, 4)), np.ones((2, 2), bool))


def test_without_defects_or_with_a_bad_limit():
    pixels = seen([np.ones((4, 4), np.float32)], [None])
    with pytest.raises(EmptyData, match="no defective one was given"):
        pixels.aupro()
    with pytest.raises(EmptyData, match="AUROC compares good with defective"):
        Pixels().auroc()
    with pytest.raises(BadSettings, match="fpr_limit is a share"):
        pixels.aupro(0)
    with pytest.raises(ValueError, match="counted alike"):
        pixels.merged(Pixels(exact=True))
