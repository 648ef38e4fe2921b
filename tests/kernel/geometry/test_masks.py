"""Masks to rings, run lengths and back, exactly; COCO's compressed text against its definition."""

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from triscope.errors import BadLabels
from triscope.kernel.geometry import masks
from triscope.kernel.geometry.rle import Rle

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12))


@settings(max_examples=80, deadline=None)
@given(MASKS)
def test_rings_give_the_mask_back(mask):
    np.testing.assert_array_equal(masks.from_polygons(masks.to_polygons(mask), mask.shape), mask)


@settings(max_examples=80, deadline=None)
@given(MASKS)
def test_run_lengths_give_the_mask_back(mask):
    rle = Rle.encode(mask)
    for compressed in (True, False):
        again = Rle.from_coco(rle.to_coco(compressed))
        np.testing.assert_array_equal(again.decode(), mask)
    assert rle.area == masks.area(mask)
    assert rle.box == masks.box_of(mask)


def test_the_compressed_text_of_a_known_mask():
    # Runs 6, 1, 40, 4, 5, 4, 5, 4, 21 of a 9 x 10 mask, by hand from the definition: the lowest
    # five bits first, 0x20 where more follow, differences to the run before last from the third on.
    counts = [6, 1, 40, 4, 5, 4, 5, 4, 21]
    values = np.arange(len(counts)) % 2 == 1
    mask = np.repeat(values, counts).reshape((9, 10), order="F")
    assert Rle.encode(mask).to_coco() == {"size": [9, 10], "counts": "61X13mN000`0"}
    np.testing.assert_array_equal(
        Rle.from_coco({"size": [9, 10], "counts": b"61X13mN000`0"}).decode(), mask
    )


def test_a_ring_holds_the_pixels_whose_centres_are_inside():
    square = [[0.5, 0.5], [3.5, 0.5], [3.5, 2.5], [0.5, 2.5]]
    expected = np.zeros((5, 6), bool)
    expected[1:3, 1:4] = True
    np.testing.assert_array_equal(masks.from_polygons([square], (5, 6)), expected)


@settings(max_examples=30, deadline=None)
@given(arrays(float, (5, 2), elements=st.floats(-5, 25)))
def test_opencv_agrees_which_centres_are_inside(ring):
    contour = cv2.convexHull(ring.astype(np.float32))
    assume(contour is not None and len(contour) > 2)
    ours = masks.from_polygons([contour[:, 0]], (18, 20))
    for y in range(18):
        for x in range(20):
            side = cv2.pointPolygonTest(contour, (x, y), True)
            if abs(side) > 1e-3:
                assert ours[y, x] == (side > 0)


def test_an_inner_ring_is_a_hole_and_separate_rings_of_coco_are_joined():
    outer = np.array([[-0.5, -0.5], [9.5, -0.5], [9.5, 9.5], [-0.5, 9.5]])
    inner = outer * 0.4 + 2
    holed = masks.Polygons((outer, inner), (10, 10)).decode()
    joined = masks.Polygons((outer, inner), (10, 10), together=False).decode()
    assert joined.all()
    assert not holed.all()
    assert masks.Union((masks.Polygons((inner,), (10, 10)),), (10, 10)).decode().sum() == 100 - (
        holed.sum()
    )


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"counts": "1"}, "run lengths need 'size'"),
        ({"size": [2, 2], "counts": [1, 2]}, "sum to 4, each 0 or more; got 2 that sum to 3"),
        ({"size": [2, 2], "counts": [-1, 5]}, "each 0 or more"),
        ({"size": [2, 2], "counts": "\x01"}, "has no place in compressed run lengths"),
        ({"size": [2, 2], "counts": "Q"}, "end within a number"),
        ({"size": [2, 2], "counts": "ooooooooooooooooooooo"}, "has no place"),
        ({"size": "ab", "counts": []}, "run lengths need"),
    ],
)
def test_damaged_run_lengths_say_what_is_wrong(value, says):
    with pytest.raises(BadLabels, match=says):
        Rle.from_coco(value)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=12), st.integers(-1, 6), st.integers(-1, 6))
def test_any_text_is_read_or_refused(text, h, w):
    try:
        rle = Rle.from_coco({"size": [h, w], "counts": text})
    except BadLabels:
        return
    assert rle.decode().shape == (h, w)


def test_empty_masks():
    assert masks.box_of(np.zeros((3, 3), bool)) is None
    assert masks.to_polygons(np.zeros((3, 3), bool)) == []
    assert Rle.encode(np.zeros((0, 3), bool)).decode().shape == (0, 3)
