"""Boxes are xyxy in pixels, end-exclusive; points (x, y); arrays (row, col); sizes (h, w)."""

import numpy as np

from triscope.kernel.geometry import boxes, masks
from triscope.kernel.geometry.rle import Rle
from triscope.kernel.results import Finding


def test_a_box_is_the_slice_of_the_array():
    mask = np.zeros((20, 30), bool)
    mask[5:9, 10:16] = True
    box = masks.box_of(mask)
    assert box == (10, 5, 16, 9)
    x0, y0, x1, y1 = map(int, box)
    assert mask[y0:y1, x0:x1].all()
    assert boxes.areas([box])[0] == mask.sum() == masks.area(mask)
    assert Rle.encode(mask).box == box


def test_the_whole_image_is_the_box_of_its_size():
    h, w = 20, 30
    np.testing.assert_array_equal(boxes.clip([[-9, -9, 99, 99]], (h, w)), [[0, 0, w, h]])
    assert masks.box_of(np.ones((h, w), bool)) == (0, 0, w, h)


def test_one_pixel_is_a_box_of_area_one():
    mask = np.zeros((4, 4), bool)
    mask[2, 1] = True
    assert masks.box_of(mask) == (1, 2, 2, 3)
    assert boxes.around([[1, 2]]) == (0.5, 1.5, 1.5, 2.5)


def test_touching_boxes_share_nothing():
    assert boxes.iou([[0, 0, 4, 4]], [[4, 0, 8, 4]])[0, 0] == 0


def test_findings_hold_xyxy():
    assert Finding("dent", 1.0, (10, 5, 16, 9)).to_dict()["box"] == [10, 5, 16, 9]
