"""Coordinates follow the image: a bright pixel is found where its point was sent."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triscope.kernel.geometry import sizes

SIDES = st.tuples(st.integers(1, 80), st.integers(1, 80))


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, st.booleans())
def test_letterbox_fits_and_goes_back(image_hw, out_hw, centred):
    fit = sizes.letterbox(image_hw, out_hw, centred)
    image = np.full((*image_hw, 3), 255, np.uint8)
    placed = fit.image(image, fill=7)
    assert placed.shape == (*out_hw, 3)
    x0, y0, x1, y1 = fit.boxes([[0, 0, image_hw[1], image_hw[0]]])[0]
    assert x0 >= 0 and y0 >= 0 and x1 <= out_hw[1] + 1e-9 and y1 <= out_hw[0] + 1e-9
    assert np.count_nonzero(placed[..., 0] == 255) == round((x1 - x0) * (y1 - y0))
    points = np.array([[0, 0], [image_hw[1] - 1, image_hw[0] - 1]])
    np.testing.assert_allclose(fit.points_back(fit.points(points)), points, atol=1e-9)
    boxes = np.array([[0, 0, 1, 1], [0, 0, image_hw[1], image_hw[0]]], float)
    np.testing.assert_allclose(fit.boxes_back(fit.boxes(boxes)), boxes, atol=1e-9)


def test_the_centre_of_a_blob_is_where_its_point_goes():
    rows, columns = np.mgrid[:60, :90]
    blob = np.exp(-((rows - 20) ** 2 + (columns - 61) ** 2) / 40).astype(np.float32)
    for fit in (sizes.stretch((60, 90), (33, 71)), sizes.letterbox((60, 90), (128, 128))):
        out = fit.image(blob)
        rows_out, columns_out = np.mgrid[: out.shape[0], : out.shape[1]]
        found = [(out * columns_out).sum() / out.sum(), (out * rows_out).sum() / out.sum()]
        np.testing.assert_allclose(found, fit.points([61, 20]), atol=0.05)


def test_short_side_and_padding():
    assert sizes.short_side((200, 300), 600).out_hw == (600, 900)
    assert sizes.short_side((200, 800), 600, longest=1000).out_hw == (250, 1000)
    assert sizes.short_side((1, 1), 600).out_hw == (600, 600)
    padded = sizes.pad_to_multiple((33, 64), 32)
    assert padded.out_hw == (64, 64)
    assert padded.image(np.ones((33, 64), np.uint8)).sum() == 33 * 64


@pytest.mark.parametrize("hw", [(5, 9), (20, 3), (1, 1)])
def test_masks_stay_bool(hw):
    mask = np.ones((7, 7), bool)
    out = sizes.resize(mask, hw)
    assert out.dtype == np.bool_
    assert out.all()
