"""Distance, alignment and comparison of a scan with its reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from shape_toys import block, block_distance, dented_cloud, drilled_distance

from triscope.errors import BadSettings, DataError
from triscope.shape import comparison
from triscope.shape.alignment import align, rigid
from triscope.shape.comparison import Settings
from triscope.shape.distance import Distance, closest
from triscope.shape.doubts import loose_of
from triscope.shape.grid import connected
from triscope.shape.isosurface import isosurface
from triscope.shape.surface import Cloud, Mesh
from triscope.shape.synth import Part
from triscope.shape.units import in_mm, unit_of


def torus() -> Mesh:
    n = 25
    axes = [np.linspace(-1.5, 1.5, n)] * 2 + [np.linspace(-0.6, 0.6, n)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    values = np.hypot(np.hypot(x, y) - 1, z / 0.4 * 0.4) - 0.35
    return isosurface(values, np.array([-1.5, -1.5, -1.5]), 3.0 / (n - 1))


def test_distance_is_that_of_all_triangles() -> None:
    mesh = torus()
    points = np.random.default_rng(0).uniform(-2, 2, (60, 3))
    found = Distance(mesh)(points)
    slow = np.array(
        [
            np.linalg.norm(closest(np.repeat(p[None], len(mesh.faces), 0), mesh.corners)[0] - p,
                           axis=1).min()
            for p in points
        ]
    )  # fmt: skip
    assert np.allclose(np.abs(found.distance), slow, atol=1e-9)
    assert np.allclose(np.linalg.norm(found.place - points, axis=1), slow, atol=1e-9)


def test_the_sign_holds_at_edges_and_corners() -> None:
    values = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    tetra = Distance(Mesh(values, np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])))
    outside = np.array([[-1.0, -1, -1], [2, -0.1, -0.1], [-0.2, 0.5, -0.2], [0.6, 0.6, 0.6]])
    inside = np.array([[0.1, 0.1, 0.1], [0.2, 0.3, 0.2]])
    assert (tetra(outside).distance > 0).all() and (tetra(inside).distance < 0).all()
    assert tetra(outside).distance[0] == pytest.approx(np.sqrt(3))


def test_alignment_finds_the_way_back() -> None:
    mesh = Part("cast").mesh(4.0)
    reference, scan = Distance(mesh), mesh.sampled(1500, seed=1)
    import cv2

    small, large = np.eye(4), np.eye(4)
    small[:3, :3], small[:3, 3] = cv2.Rodrigues(np.array([0.02, -0.03, 0.04]))[0], [1.0, -1, 0.5]
    large[:3, :3], large[:3, 3] = cv2.Rodrigues(np.array([0.3, 2.0, -1.2]))[0], [90.0, 10, -40]
    for pose, how in ((small, "nearby"), (large, "shape")):
        found = align(scan.moved(pose), reference, how)  # type: ignore[arg-type]
        back = found.reference_T_scan @ pose
        moved = scan.points @ back[:3, :3].T + back[:3, 3]
        assert np.abs(reference(moved).distance).mean() < 0.05, how
        assert found.share > 0.95
    with pytest.raises(DataError, match=r"does not fit the reference.*There is no verdict"):
        align(scan.moved(large), reference, "placed")
    few = Cloud(scan.points[:20])
    with pytest.raises(DataError, match="a scan of 20 points cannot be aligned"):
        align(few, reference)


@pytest.mark.parametrize("seed", [0, 5])
def test_a_part_scanned_from_one_side_is_not_left_between_its_faces(seed: int) -> None:
    """Nor turned by half a turn, nor turned over; of the second 13 % are not seen."""
    rng = np.random.default_rng(seed)
    surface = drilled_distance()
    drawn = surface.mesh.sampled(40_000)
    assert drawn.normals is not None
    above = drawn.points[drawn.normals[:, 2] > 0.3]
    above = above[(above @ rng.normal(size=3)) > -40]  # a corner of it is not seen
    scan = Cloud(above + 0.03 * rng.normal(size=above.shape))
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rigid_turn(rng), rng.normal(0, 50, 3)
    found = align(scan.moved(pose), surface, "shape")
    left = found.reference_T_scan @ pose
    assert np.abs(left[:3, :3] - np.eye(3)).max() < 0.01 and np.abs(left[:3, 3]).max() < 0.5
    assert 0.5 < found.rival < found.share


def test_a_part_that_fits_in_two_ways_is_said_so() -> None:
    found = align(dented_cloud(0), block_distance(), "shape")
    assert found.rival > 0.98 * found.share
    assert any("in another pose nearly as well" in told for told in loose_of(found))


def rigid_turn(rng: np.random.Generator) -> np.ndarray:
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


def test_markers_fix_the_pose() -> None:
    marks = np.array([[0.0, 0, 0], [10, 0, 0], [0, 20, 0], [3, 4, 5]])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), [5.0, 6, 7]
    assert np.allclose(rigid(marks, marks @ pose[:3, :3].T + pose[:3, 3]), pose)
    with pytest.raises(BadSettings, match="lie on one line"):
        rigid(np.arange(9.0).reshape(3, 3), np.arange(9.0).reshape(3, 3))


def test_a_dent_is_found_with_its_place_and_size() -> None:
    found = comparison.compare(dented_cloud(0.5), block_distance(), Settings(tolerance=0.2))
    assert len(found.findings) == 1
    m = found.findings[0].measures
    assert found.findings[0].label == "lowered"
    assert m["deviation_mm"] == pytest.approx(-0.5, abs=0.05)
    assert abs(m["x_mm"] - 20) < 3.5 and abs(m["y_mm"]) < 3.5
    assert m["area_mm2"] == pytest.approx(np.pi * 9, rel=0.35)
    assert not comparison.compare(dented_cloud(0), block_distance()).findings
    assert 0.2 < found.covered < 0.5  # the upper face only


def test_units_are_never_guessed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"say mm, cm or m \(--unit\)"):
        in_mm(np.ones(3), "")
    assert np.allclose(in_mm(np.ones(2), "m"), 1000)
    with pytest.raises(DataError, match=r"the unit of .*a\.ply is not known: say mm, cm or m"):
        unit_of(tmp_path / "a.ply")
    assert unit_of(tmp_path / "a.ply", "cm") == "cm"
    (tmp_path / "unit.txt").write_text("m\n")
    assert unit_of(tmp_path / "a.ply") == unit_of(tmp_path / "a.ply", "m") == "m"
    with pytest.raises(DataError, match=r"is said to be in mm, but .*unit\.txt says m"):
        unit_of(tmp_path / "a.ply", "mm")


def test_what_says_nothing_of_the_reference_gets_no_verdict() -> None:
    scan = dented_cloud(0.5)
    small = Cloud(scan.points / 1000 + [0, 0, 30])  # metres that were called millimetres
    with pytest.raises(DataError, match=r"mm across, the reference 120 mm: check the units"):
        comparison.compare(small, block_distance(), Settings(how="placed"))
    with pytest.raises(DataError, match=r"cells of 0\.02 mm .* hold 0% of its points: larger"):
        comparison.compare(scan, block_distance(), Settings(cell=0.02, how="placed"))
    sparse = Cloud(np.concatenate([scan.points[::40], scan.points[:200]]))
    found = comparison.compare(sparse, block_distance(), Settings(how="placed"))
    assert any("of the points lie in cells of 1 mm" in told for told in found.problems)


def test_cells_that_touch_are_one_group() -> None:
    place = np.array([[0, 0, 0], [1, 1, 1], [5, 5, 5], [2, 1, 1], [5, 6, 5], [-3, 0, 0]])
    groups = connected(place)
    assert groups[0] == groups[1] == groups[3] and groups[2] == groups[4]
    assert len(set(groups.tolist())) == 3


def test_a_reference_with_holes_is_compared_and_said_so() -> None:
    whole = block()
    holed = Distance(Mesh(whole.vertices, whole.faces[1:]))  # a triangle of the lower face is lost
    found = comparison.compare(dented_cloud(0.5), holed, Settings(tolerance=0.2))
    assert "the reference is not closed (3 edges belong to one face only)" in found.problems[0]
    assert [f.label for f in found.findings] == ["lowered"]
    assert not comparison.compare(
        dented_cloud(0), block_distance(), Settings(how="placed")
    ).problems


def test_a_planar_part_says_what_its_alignment_leaves_open() -> None:
    found = comparison.compare(dented_cloud(0), block_distance())
    assert found.alignment.free == 3
    assert "leaves 3 of 6 ways to move open" in found.problems[0]
    plate = Part("drilled").mesh(2.0)
    assert comparison.compare(plate.sampled(30_000, seed=2), Distance(plate)).alignment.free == 0


def test_tolerances_carry_their_cells() -> None:
    small, large = comparison.settings_for(0.2), comparison.settings_for(30.0, cell=100.0)
    assert (small.cell, small.far, small.area) == pytest.approx((1.0, 3.0, 0.5))
    assert (large.cell, large.far, large.area) == pytest.approx((100.0, 450.0, 5000.0))
