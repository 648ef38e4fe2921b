"""Surface where good scans have none: what fills a hole is found, what one scan missed is not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from triscope.shape.distance import Distance
from triscope.shape.grid import rows_of
from triscope.shape.surface import Mesh
from triscope.shape.voids import Blocks, blocks_of, voids_of

SIDE = 0.5  # mm; a hole of 1.1 mm stands at no round place
LOW, HIGH = np.array([4.33, 3.21]), np.array([5.43, 4.31])
Floats = NDArray[np.float64]


def face(seed: int) -> Floats:
    """A face of 10 x 10 mm at a height of 4 mm, with 200 points a square millimetre."""
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.uniform(0, 10, (20_000, 2)), rng.normal(4, 0.03, 20_000)])


def holed(seed: int) -> Floats:
    """The same with its hole."""
    points = face(seed)
    return points[~((points[:, :2] > LOW) & (points[:, :2] < HIGH)).all(1)]


def plate(seed: int, *, hole: bool = True, missed: Floats | None = None) -> Blocks:
    points = holed(seed) if hole else face(seed)
    if missed is not None:
        points = points[np.abs(points[:, :2] - missed).max(1) > 1]
    return blocks_of(points, SIDE)


@pytest.fixture(scope="module")
def reference() -> Distance:
    """The face with its hole: four rectangles around it."""
    (x0, y0), (x1, y1) = LOW, HIGH
    boxes = [(0, 0, 10, y0), (0, y1, 10, 10), (0, y0, x0, y1), (x1, y0, 10, y1)]
    corners = np.array([[(a, b, 4), (c, b, 4), (c, d, 4), (a, d, 4)] for a, b, c, d in boxes])
    faces = np.concatenate([[(4 * i, 4 * i + 1, 4 * i + 2), (4 * i, 4 * i + 2, 4 * i + 3)]
                            for i in range(4)])  # fmt: skip
    return Distance(Mesh(corners.reshape(-1, 3).astype(float), faces))


def test_what_fills_a_hole_is_found_where_it_is(reference: Distance) -> None:
    voids = voids_of([plate(seed) for seed in range(4)], SIDE, reference)
    assert voids.full == pytest.approx(200 * SIDE**2, rel=0.1) and voids.line < 0.25
    found = voids.filled(plate(9, hole=False), SIDE, reference)
    assert found.deviation.max() > 0.6 * SIDE  # of a block that is full
    inside = (found.centre[:, :2] > LOW) & (found.centre[:, :2] < HIGH)
    assert inside.all() and np.abs(found.centre[:, 2] - 4).max() <= SIDE / 2


def test_good_parts_and_missing_surface_fill_nothing(reference: Distance) -> None:
    voids = voids_of([plate(seed) for seed in range(4)], SIDE, reference)
    assert not len(voids.filled(plate(9), SIDE, reference))
    whole = voids_of([plate(seed, hole=False) for seed in range(4)], SIDE, reference)
    assert not len(whole.filled(plate(9), SIDE, reference))


def test_two_good_scans_do_not_say_what_a_third_may_fill(reference: Distance) -> None:
    voids = voids_of([plate(0), plate(1)], SIDE, reference)
    assert voids.line == np.inf and not len(voids.filled(plate(9, hole=False), SIDE, reference))


def test_what_good_scans_missed_of_the_reference_is_not_empty(reference: Distance) -> None:
    place = np.array([8.0, 7.0])
    some = [plate(0), plate(1, missed=place), plate(2, missed=place), plate(3, missed=place)]
    assert voids_of(some, SIDE, reference).line < 0.25
    voids = voids_of(some[1:], SIDE, reference)
    assert not len(voids.filled(plate(9), SIDE, reference))


def test_a_stray_point_of_a_good_scan_is_no_surface(reference: Distance) -> None:
    stray = np.array([[4.9, 3.8, 4.0]])
    scans = [blocks_of(np.vstack([holed(seed), stray]), SIDE) for seed in range(4)]
    found = voids_of(scans, SIDE, reference).filled(plate(9, hole=False), SIDE, reference)
    assert found.deviation.max() > 0.6 * SIDE


def test_blocks_count_the_points_about_their_middle() -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (60, 3))
    blocks = blocks_of(points, SIDE)
    middle = blocks.place * (SIDE / 2)
    away = points[None] - middle[:, None]
    inside = ((away >= -SIDE / 2) & (away < SIDE / 2)).all(2)
    assert np.array_equal(inside.sum(1), blocks.points)
    assert blocks.points.sum() == 8 * len(points)


def test_rows_are_found_by_their_places() -> None:
    place = np.array([[0, 0, 0], [2, -1, 5], [-3, 4, 4]])
    asked = np.array([[-3, 4, 4], [9, 9, 9], [0, 0, 0], [2, -1, 4]])
    assert rows_of(place, asked).tolist() == [2, -1, 0, -1]
    assert rows_of(place[:0], asked).tolist() == [-1] * 4 and not len(rows_of(place, asked[:0]))
