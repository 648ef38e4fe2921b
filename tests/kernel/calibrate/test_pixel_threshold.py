"""The pixel threshold: few good parts show a region, of a size that matters."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from triscope.errors import BadLabels, BadSettings, EmptyData, PromiseTooLow
from triscope.kernel.calibrate import RegionSize, by_promise, pixel_threshold
from triscope.kernel.calibrate.regions import level_of
from triscope.kernel.results import Heatmap, Zones
from triscope.kernel.runtime.regions import find_regions


def smooth(rng, side=24, sigma=1.5):
    noise = rng.normal(size=(side, side)).astype(np.float32)
    return cv2.GaussianBlur(noise, (0, 0), sigma)


def shown(heat, above, size):
    """What the runtime finds."""
    values = heat.values if isinstance(heat, Heatmap) else heat
    image_size = heat.image_size if isinstance(heat, Heatmap) else values.shape
    zones = Zones(0, 0, above, size.area_px, size.length_px, size.width_px)
    return find_regions(Heatmap(values, 0.0, image_size), zones, None)


SIZES = [
    RegionSize(),
    RegionSize(area_px=6),
    RegionSize(area_px=40),
    RegionSize(length_px=5),
    RegionSize(area_px=4, length_px=4, width_px=2),
]


@pytest.mark.parametrize("size", SIZES)
def test_no_region_above_the_level_whatever_the_threshold(size):
    for seed in range(5):
        heat = smooth(np.random.default_rng(seed))
        level = level_of(heat, size)
        for above in np.append(np.unique(heat)[::37], level):
            if above >= level:
                assert shown(heat, float(above), size) == ()


@pytest.mark.parametrize("size", SIZES[:3])
def test_just_below_the_level_there_is_one(size):
    for seed in range(5):
        heat = smooth(np.random.default_rng(seed))
        below = np.nextafter(np.float32(level_of(heat, size)), np.float32(-np.inf))
        assert len(shown(heat, float(below), size)) >= 1


def test_the_level_against_every_threshold_tried():
    heat = np.round(smooth(np.random.default_rng(1)), 2)
    for area in (1, 3, 10, 50):
        size = RegionSize(area_px=area)
        without = [t for t in np.unique(heat) if not shown(heat, float(t), size)]
        assert level_of(heat, size) == pytest.approx(min(without))


def test_sizes_are_those_of_the_capture():
    values = np.zeros((8, 8), np.float32)
    values[2:4, 2:4] = 1  # 4 pixels of the map, 4 x 6 x 9 of the capture
    heat = Heatmap(values, 1.0, (48, 72))
    assert level_of(heat, RegionSize(area_px=216)) == 1
    assert level_of(heat, RegionSize(area_px=217)) == 0  # all 64 pixels lie above less than 0
    assert level_of(heat, RegionSize(area_px=48 * 72 + 1)) < 0
    assert level_of(heat, RegionSize(length_px=18)) == 1
    assert level_of(heat, RegionSize(length_px=22)) == 0


def test_millimetres():
    size = RegionSize.in_mm(0.5, area_mm2=2, length_mm=3, width_mm=0.25)
    assert size == RegionSize(area_px=8, length_px=6, width_px=0.5)
    with pytest.raises(BadSettings, match="mm_per_px is a number above 0"):
        RegionSize.in_mm(0)
    with pytest.raises(BadSettings, match="sizes of regions are 0 or more"):
        RegionSize(area_px=-1)


@pytest.mark.parametrize("size", [RegionSize(), RegionSize(area_px=5)])
def test_the_promise_is_kept_as_often_as_stated(size):
    rng = np.random.default_rng(0)
    many = np.sort([level_of(smooth(rng, 12), size) for _ in range(2500)])
    broken = 0
    for _ in range(600):
        some = rng.choice(many, 45)
        above = pixel_threshold(
            [np.full((4, 4), level, np.float32) for level in some], false_reject=0.1
        ).above
        broken += (many > above).mean() > 0.1
    assert broken / 600 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 600)


def test_good_parts_within_the_promise_show_regions_and_it_is_recorded():
    rng = np.random.default_rng(0)
    maps = [smooth(rng, 16) for _ in range(60)]
    size = RegionSize(area_px=4)
    decision = pixel_threshold(iter(maps), false_reject=0.15, size=size)
    seen = sum(bool(shown(heat, decision.above, size)) for heat in maps)
    assert decision.promise["good_with_regions"] == seen == 4
    assert decision.promise["basis"] == (
        "At most 15 % of good parts show a region, with 95 % confidence (of 60: 4)."
    )


def test_larger_regions_allow_a_lower_threshold():
    rng = np.random.default_rng(0)
    maps = [smooth(rng) for _ in range(30)]
    tiny, large = (
        pixel_threshold(maps, false_reject=0.1, size=RegionSize(area_px=a)).above for a in (0, 20)
    )
    assert large < tiny


def test_a_decision_takes_the_pixels_in():
    rng = np.random.default_rng(0)
    maps = [smooth(rng, 12) for _ in range(60)]
    size = RegionSize(area_px=3, length_px=2, width_px=1)
    pixels = pixel_threshold(maps, false_reject=0.05, size=size)
    decision = by_promise([m.max() for m in maps], false_reject=0.05).with_pixels(pixels)
    zones = decision.zones
    assert (zones.pixel_above, zones.min_area_px, zones.min_length_px) == (pixels.above, 3, 2)
    assert decision.promise["pixels"]["min_width_px"] == 1
    assert zones.basis.endswith(pixels.promise["basis"])


def test_too_few_or_bad_maps():
    maps = [np.ones((4, 4), np.float32)] * 20
    with pytest.raises(PromiseTooLow, match="20 good parts: nothing below 14 %"):
        pixel_threshold(maps)
    with pytest.raises(EmptyData, match="good maps"):
        pixel_threshold([])
    with pytest.raises(BadLabels, match=r"a heat map is \(h, w\), got \(4,\)"):
        pixel_threshold([np.ones(4, np.float32)])
    with pytest.raises(BadLabels, match="heat maps must be finite"):
        pixel_threshold([np.full((2, 2), np.nan, np.float32)])
