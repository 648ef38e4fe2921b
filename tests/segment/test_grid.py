"""Steps of everything mode against slow or independent computations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

from triscope.segment import grid


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("ties", [False, True])
def test_nms_is_torchvisions(seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 60, (400, 2, 2)).astype(np.float32)
    boxes = np.concatenate([corners.min(1), corners.max(1)], axis=1)  # some of no area
    scores = rng.integers(0, 3, 400) if ties else rng.permutation(400)
    scores = scores.astype(np.float32)
    expected = torchvision.ops.nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.4)
    assert np.array_equal(grid.nms(boxes, scores, 0.4), expected.numpy())


def test_nms_of_nothing() -> None:
    assert len(grid.nms(np.zeros((0, 4)), np.zeros(0), 0.5)) == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 3), st.floats(0, 0.9))
def test_crops_cover_the_image(h: int, w: int, layers: int, overlap: float) -> None:
    crops, which = grid.crop_boxes((h, w), layers, overlap)
    assert crops[0] == (0, 0, w, h)
    for layer in range(1, layers + 1):
        seen = np.zeros((h, w), bool)
        for (x0, y0, x1, y1), own in zip(crops, which, strict=True):
            if own == layer:
                assert x1 <= w and y1 <= h
                seen[y0:y1, x0:x1] = True
        assert seen.all()


def test_small_regions_leave_the_input_alone() -> None:
    mask = np.zeros((9, 9), bool)
    mask[1:8, 1:8] = True
    mask[4, 4] = False
    before = mask.copy()
    filled, changed = grid.without_small_regions(mask, 2, "holes")
    assert changed and filled[4, 4] and np.array_equal(mask, before)
    assert filled.sum() == 49


def test_a_box_runs_from_the_first_to_the_last_pixel() -> None:
    mask = np.zeros((7, 9), bool)
    mask[2:5, 3:8] = True
    assert grid.box_of(mask) == (3, 2, 7, 4)
    assert grid.box_of(np.zeros((7, 9), bool)) == (0, 0, 0, 0)
