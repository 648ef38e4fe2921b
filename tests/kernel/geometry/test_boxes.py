"""Boxes: end-exclusive pixels, round trips of the three common notations, IoU by counting."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triscope.kernel.geometry import boxes

SIDE = st.integers(0, 30)


@st.composite
def box_lists(draw, least=0):
    rows = draw(st.lists(st.tuples(SIDE, SIDE, SIDE, SIDE), min_size=least, max_size=5))
    found = [(min(a, c), min(b, d), max(a, c) + 1, max(b, d) + 1) for a, b, c, d in rows]
    return np.array(found, float).reshape(-1, 4)


def painted(box):
    canvas = np.zeros((40, 40), bool)
    x0, y0, x1, y1 = np.asarray(box, int)
    canvas[y0:y1, x0:x1] = True
    return canvas


@settings(max_examples=40, deadline=None)
@given(box_lists(), box_lists())
def test_iou_is_that_of_painted_pixels(a, b):
    found = boxes.iou(a, b)
    assert found.shape == (len(a), len(b))
    for i, first in enumerate(a):
        for j, second in enumerate(b):
            both = np.count_nonzero(painted(first) & painted(second))
            either = np.count_nonzero(painted(first) | painted(second))
            assert found[i, j] == pytest.approx(both / either)


@settings(max_examples=40, deadline=None)
@given(box_lists(), st.integers(1, 60), st.integers(1, 60))
def test_notations_go_there_and_back(found, h, w):
    np.testing.assert_allclose(boxes.from_coco(boxes.to_coco(found)), found)
    np.testing.assert_allclose(boxes.from_voc(boxes.to_voc(found)), found)
    np.testing.assert_allclose(boxes.from_yolo(boxes.to_yolo(found, (h, w)), (h, w)), found)
    np.testing.assert_allclose(
        boxes.scale(boxes.scale(found, (40, 40), (h, w)), (h, w), (40, 40)), found
    )


def test_each_notation_of_one_box_by_hand():
    box = [[10, 20, 30, 60]]  # columns 10 to 29, rows 20 to 59
    np.testing.assert_allclose(boxes.to_coco(box), [[10, 20, 20, 40]])
    np.testing.assert_allclose(boxes.to_voc(box), [[11, 21, 30, 60]])
    np.testing.assert_allclose(boxes.to_yolo(box, (80, 40)), [[0.5, 0.5, 0.5, 0.5]])
    assert boxes.areas(box) == [800]


def test_clipping_and_boxes_without_area():
    np.testing.assert_allclose(boxes.clip([[-5, -5, 50, 50]], (20, 30)), [[0, 0, 30, 20]])
    assert boxes.iou([[3, 3, 3, 9]], [[3, 3, 3, 9]]) == 0
    assert boxes.as_boxes([]).shape == (0, 4)


def test_points_become_the_box_of_their_pixels():
    assert boxes.around([[3, 4], [5, 4]]) == (2.5, 3.5, 5.5, 4.5)


def test_messages():
    with pytest.raises(ValueError, match=r"boxes are \(n, 4\) xyxy, got shape \(2, 3\)"):
        boxes.as_boxes(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="a box needs at least one"):
        boxes.around([])
