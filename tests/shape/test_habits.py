"""What good scans teach: habits and their spread."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from shape_toys import block_distance

from triscope.errors import CheckDamaged
from triscope.shape.check import worst_pair
from triscope.shape.comparison import Cells, cells_of
from triscope.shape.grid import AROUND, AT, neighbours, places_of
from triscope.shape.habits import Reference, deviation_of, learned, load_reference
from triscope.shape.surface import Cloud
from triscope.shape.voids import blocks_of

SIDE, FULL, N = 0.5, 24, 21


def face(seed: int, *, hole: bool = False, rim: float = 0.01, by: float = 0.0) -> Cells:
    """A face of 21 x 21 cells; the deviation is noisy at x = 0, 1 and 2 (a rim)."""
    rng = np.random.default_rng(seed)
    x, y = (v.reshape(-1) for v in np.meshgrid(np.arange(N), np.arange(N)))
    keep = ~((np.abs(x - 10) <= 1) & (np.abs(y - 10) <= 1)) if hole else np.ones(len(x), bool)
    place = np.stack([x, y, np.zeros(len(x))], 1)[keep].astype(np.int64)
    noise = np.where(place[:, 0] < 3, rim, 0.01) * rng.standard_normal(len(place))
    points = FULL + rng.integers(-1, 2, len(place))
    return Cells(place, by + noise, points, SIDE * place.astype(np.float64))


def taught(scans: int = 4, **more: bool | float) -> Reference:
    faces = [face(seed, **more) for seed in range(scans)]  # type: ignore[arg-type]
    blocks = [blocks_of(one.centre, SIDE) for one in faces]
    return learned(block_distance(), faces, blocks, SIDE)


def test_a_rim_that_varies_may_vary_and_a_face_may_not() -> None:
    reference = taught(rim=0.2)
    deviation, usual = reference.beyond(face(9, rim=0.2, by=0.15))
    rim = face(9).place[:, 0] < 2
    inner = face(9).place[:, 0] > 4
    assert np.median(usual[rim]) > 0.15 and np.median(usual[inner]) < 0.04
    assert (np.abs(deviation) > usual)[inner].mean() > 0.99
    again, limit = reference.beyond(face(10, rim=0.2))
    assert (np.abs(again) > limit).mean() < 0.05


def test_a_cell_that_no_good_scan_saw_has_no_habit() -> None:
    deviation, usual = taught(hole=True).beyond(face(9, by=0.4))
    middle = np.abs(face(9).place[:, :2] - 10).max(1) <= 1
    assert np.isinf(usual[middle]).all() and (deviation > usual)[~middle].mean() > 0.95


def test_deviation_is_that_of_a_block() -> None:
    cells = face(9)
    found, x, y = deviation_of(cells).reshape(N, N), 7, 12
    points, off = (v.reshape(N, N)[y - 1 : y + 2, x - 1 : x + 2] for v in
                   (cells.points, cells.deviation))  # fmt: skip
    assert found[y, x] == pytest.approx((points * off).sum() / points.sum())


def test_one_good_scan_is_enough_to_begin_with() -> None:
    reference = taught(1)
    deviation, usual = reference.beyond(face(9, by=0.5))
    assert (deviation > usual).all()


def test_a_reference_is_kept_and_one_of_another_kind_is_refused(tmp_path: Path) -> None:
    reference = taught(hole=True)
    reference.save(tmp_path)
    same = load_reference(tmp_path)
    assert np.array_equal(same.voids.solid, reference.voids.solid)
    assert (same.voids.full, same.voids.line) == (reference.voids.full, reference.voids.line)
    assert np.array_equal(same.beyond(face(9))[1], reference.beyond(face(9))[1])
    np.savez(tmp_path / "reference.npz", vertices=np.zeros((0, 3)), faces=np.zeros((0, 3), int))
    with pytest.raises(CheckDamaged, match=r"reference\.npz cannot be read"):
        load_reference(tmp_path)


def test_neighbours_are_those_of_a_slow_search() -> None:
    rng = np.random.default_rng(0)
    place = np.unique(rng.integers(-4, 4, (60, 3)), axis=0)
    asked = rng.integers(-6, 6, (40, 3))
    known = {tuple(p): i for i, p in enumerate(place.tolist())}
    slow = [[known.get(tuple((a + step).tolist()), -1) for step in AROUND] for a in asked]
    assert np.array_equal(neighbours(place, asked), slow) and not AROUND[AT].any()


def test_one_cell_alone_is_no_worst_pair() -> None:
    place = np.array([[0, 0, 0], [1, 1, 0], [5, 5, 5], [0, 1, 0], [9, 9, 9], [9, 9, 8]])
    assert worst_pair(place, np.array([0.3, 0.2, 9.0, -0.4, -0.25, -0.5])) == 0.25
    assert worst_pair(place, np.zeros(6)) == 0.0


def flat(z: float, points: int = 4000) -> NDArray[np.float64]:
    rng = np.random.default_rng(3)
    return np.column_stack(
        [rng.uniform(0, 10, (points, 2)), z + 0.02 * rng.standard_normal(points)]
    )


def test_a_face_at_a_round_height_is_not_torn_apart() -> None:
    assert len(np.unique(places_of(flat(4.0), 0.5)[:, 2])) == 1
    few = np.array([[20.0, 20.0, 4.0]]) + 0.01 * np.arange(7)[:, None]  # a sliver beside the face
    values = np.zeros(4007, np.float32)
    points = np.vstack([flat(4.0), few])
    cells = cells_of(Cloud(points, values=values), points, 1.0, 4)
    assert cells.points.min() >= np.median(cells.points) / 4 and cells.place.max() <= 10
