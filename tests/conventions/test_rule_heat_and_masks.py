"""Heat maps are raw and grow with the anomaly; masks are bool."""

import numpy as np
import pytest

from triscope.kernel.data import read_mask
from triscope.kernel.geometry import masks, tiles
from triscope.kernel.results import Heatmap, Zones


def test_a_heat_map_keeps_raw_values():
    values = np.array([[-3.5, 0.0], [12.0, 7.25]], np.float32)
    heat = Heatmap(values, 12.0, (2, 2))
    np.testing.assert_array_equal(heat.at_image_size(), [[-3.5, 0.0], [12.0, 7.25]])


def test_a_larger_score_is_a_worse_part():
    zones = Zones(review_above=5, fail_above=9)
    assert [zones.judge(score).outcome for score in (1.0, 7.0, 12.0)] == ["pass", "review", "fail"]


def test_blended_windows_stay_raw():
    plan = tiles.plan((10, 14), 8, 2)
    whole = tiles.blend([np.full((8, 8), -4.5)] * len(plan), plan)
    np.testing.assert_allclose(whole, -4.5, rtol=1e-5)


@pytest.mark.parametrize(
    "source",
    [
        np.array([[0, 255]], np.uint8),
        np.array([[0, 65535]], np.uint16),
        np.array([[False, True]]),
        masks.Polygons((np.array([[0.5, -0.5], [1.5, -0.5], [1.5, 0.5], [0.5, 0.5]]),), (1, 2)),
    ],
)
def test_masks_are_bool_whatever_they_come_from(source):
    mask = read_mask(source)
    assert mask.dtype == np.bool_
    assert mask.tolist() == [[False, True]]
