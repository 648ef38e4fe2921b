"""The way from photos of a generated part to its deviation, in small."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import triscope
from outside import real_data
from triscope.errors import BadSettings, DataError, EmptyData
from triscope.kernel.results import Depth
from triscope.kernel.runtime.card import Card
from triscope.kernel.runtime.seen import Seen
from triscope.shape import comparison, fusion, golden, stages, views
from triscope.shape.alignment import align, rigid
from triscope.shape.comparison import Settings, connected, in_mm
from triscope.shape.distance import Distance, closest
from triscope.shape.formats import open_scene
from triscope.shape.isosurface import isosurface
from triscope.shape.matching import REASONS, advice, reasons, shares
from triscope.shape.scene import Scene
from triscope.shape.stereo import stereo
from triscope.shape.surface import Cloud, Mesh
from triscope.shape.synth import KINDS, Look, Part, Rig, make_scene, write_part
from triscope.shape.synth.render import photograph
from triscope.shape.tsdf import tsdf_mesh

RIG = Rig(views=4, size=(96, 128))


@cache
def good() -> Scene:
    return make_scene(Part("drilled"), RIG)


def true_views(scene: Scene) -> list[fusion.Seen | None]:
    """The true depth as if a model had answered it."""
    found: list[fusion.Seen | None] = []
    for view in scene.views:
        depth = view.true_depth()
        assert depth is not None
        sure = (depth > 0).astype(np.float32)
        found.append(fusion.Seen(Depth(depth, sure, view.K), view.cam_T_world, view.read()))
    return found


def sources_of(scene: Scene) -> dict[int, list[int]]:
    return {i: [j for j, _ in found] for i, found in scene.sources.items()}


# ---- generated parts


@pytest.mark.parametrize("kind", KINDS)
def test_photos_depth_and_stl_are_of_the_same_part(kind: Any) -> None:
    part = Part(kind)
    K, poses = Rig(views=2, size=(40, 56)).cameras()
    image, depth, normals = photograph(part, K, poses[0], (40, 56), Look())
    hit = depth > 0
    assert image.dtype == np.uint8 and 0.1 < hit.mean() < 0.95
    assert np.allclose(np.linalg.norm(normals[hit], axis=-1), 1, atol=1e-4)
    view = fusion.Seen(Depth(depth, hit.astype(np.float32), K), poses[0])
    cloud = fusion.fuse([view], {}, fusion.Settings(views=1))
    assert np.abs(part.solid()(cloud.points)).max() < 1e-3
    mesh = part.mesh(2.0)
    assert mesh.open_edges() == 0
    assert np.quantile(np.abs(Distance(mesh)(cloud.points).distance), 0.9) < 0.4


def test_defects_are_where_and_as_large_as_they_say() -> None:
    top = np.array([[0.0, 25, 4], [48, 25, 4], [-16, 4, 4], [22, 14, 4]])
    solids = {d: Part("drilled", d, 0.4).solid()(top) for d in ("bent", "missing_hole", "dent")}
    plain = Part("drilled").solid()(top)
    assert solids["bent"][0] == pytest.approx(plain[0], abs=1e-6)
    assert solids["bent"][1] == pytest.approx(-0.4 * 0.96**2, abs=1e-3)
    assert plain[2] == pytest.approx(0.5, abs=1e-6)
    assert solids["missing_hole"][2] == pytest.approx(0, abs=1e-6)
    assert solids["dent"][3] == pytest.approx(0.4, abs=1e-6)
    with pytest.raises(BadSettings, match="a turned part has no hole to miss"):
        Part("turned", "missing_hole")


# ---- views


def test_the_weight_of_an_angle_is_that_of_the_paper() -> None:
    angles = np.array([5.0, 4.0, 15.0])
    assert np.allclose(views.weight(angles), [1, np.exp(-0.5), np.exp(-0.5)])


def test_a_rig_needs_no_sparse_points() -> None:
    bare = Scene(good().views, unit="mm")
    chosen = views.choose_views(bare)
    for i, view in enumerate(chosen.views):
        depth = view.true_depth()
        assert depth is not None and len(chosen.sources[i]) == 3
        assert chosen.ranges[i].near < depth[depth > 0].min()
        assert chosen.ranges[i].far > depth.max()


@pytest.mark.parametrize(
    ("near", "far", "text"),
    [(9.0, 3.0, "expected 0 < near < far, .* swapped"), (-1.0, 3.0, "expected 0 < near < far")],
)
def test_a_range_that_cannot_be_meant(near: float, far: float, text: str) -> None:
    with pytest.raises(DataError, match=text):
        views.choose_views(Scene(good().views), near=near, far=far)


def test_views_without_overlap_and_parallel_views_are_said_so() -> None:
    from dataclasses import replace

    one, two = good().views[:2]
    turned = np.diag([-1.0, 1, -1, 1]) @ one.cam_T_world
    away = replace(two, cam_T_world=turned)
    with pytest.raises(DataError, match=r"looks away|look in parallel"):
        views.choose_views(Scene((one, away)))
    with pytest.raises(DataError, match="no two views see the same place"):
        views.choose_views(Scene((one, away)), near=250, far=350)
    moved = one.cam_T_world.copy()
    moved[0, 3] += 30
    with pytest.raises(DataError, match=r"look in parallel.*--near and --far"):
        views.choose_views(Scene((one, replace(two, cam_T_world=moved))))
    with pytest.raises(DataError, match="needs 2 views or more, the scene has 1"):
        views.choose_views(Scene((one,)))


def test_planes_lie_a_pixel_apart_at_the_nearest_depth() -> None:
    view = good().views[0]
    count = views.number_of_planes(view, 200.0, 400.0)
    inverse = np.linspace(1 / 200, 1 / 400, count)
    step = 1 / inverse[1] - 1 / inverse[0]
    assert step == pytest.approx(200 / view.K[0, 0], rel=0.02)


# ---- fusion, meshes


def test_true_depth_fuses_to_the_part_and_comes_once() -> None:
    scene = good()
    seen, sources = true_views(scene), sources_of(scene)
    cloud = fusion.fuse(seen, sources, fusion.Settings(relative=0.005, border=2))
    off = np.abs(Part("drilled").solid()(cloud.points))
    assert np.median(off) < 0.02 and np.quantile(off, 0.98) < 0.4
    assert cloud.colours is not None and cloud.views is not None and cloud.views.min() >= 3
    everything = fusion.fuse(seen, sources, fusion.Settings(relative=0.005, border=2, once=False))
    assert len(cloud) < 0.6 * len(everything)


def test_a_wrong_depth_is_outvoted_and_its_reason_is_named() -> None:
    scene = good()
    seen = true_views(scene)
    first = seen[0]
    assert first is not None
    wrong = first.depth.values.copy()
    wrong[40:60, 50:80] *= 0.9
    seen[0] = fusion.Seen(Depth(wrong, first.depth.confidence, first.depth.K), first.cam_T_world)
    others = {j: s for j, s in enumerate(seen) if j and s is not None}
    found = fusion.agreement(seen[0], others, fusion.Settings())
    assert (found.views[42:58, 52:78] <= 1).all()
    depths = np.linspace(250, 350, 20)
    why = reasons(scene.views[0].read(), seen[0].depth, depths, probability=0.3,
                  agreed=found.views >= 3)  # fmt: skip
    lonely = why[42:58, 52:78][wrong[42:58, 52:78] > 0]
    assert (lonely == REASONS.index("seen by one view")).mean() > 0.9
    assert (why[:5] == REASONS.index("textureless")).all()


def test_nothing_left_is_explained() -> None:
    seen = true_views(good())
    with pytest.raises(EmptyData, match=r"0 points: of .* below probability=1"):
        zero = [
            fusion.Seen(Depth(s.depth.values, 0 * s.depth.confidence, s.depth.K), s.cam_T_world)
            for s in seen if s
        ]  # fmt: skip
        fusion.fuse(zero, sources_of(good()), fusion.Settings(probability=1.0))
    with pytest.raises(DataError, match="2 views have depth, but views=3 must agree"):
        fusion.fuse(seen[:2], {}, fusion.Settings())


def test_depth_becomes_a_mesh() -> None:
    seen = [s for s in true_views(good()) if s]
    low, high = np.array([-56.0, -36, -2]), np.array([56.0, 36, 9])
    mesh = tsdf_mesh(seen, low, high, 2.0)
    off = Part("drilled").solid()(mesh.vertices)
    assert np.median(np.abs(off)) < 0.15
    assert (mesh.normals()[:, 2] > 0).mean() > 0.8  # seen from above
    with pytest.raises(BadSettings, match="voxels"):
        tsdf_mesh(seen, low, high, 0.0001)


def test_a_sphere_is_closed_looks_outside_and_has_its_volume() -> None:
    n = 21
    grid = np.stack(np.meshgrid(*[np.linspace(-1.2, 1.2, n)] * 3, indexing="ij"), -1)
    mesh = isosurface(np.linalg.norm(grid, axis=-1) - 1, np.full(3, -1.2), 2.4 / (n - 1))
    a, b, c = np.moveaxis(mesh.corners, 1, 0)
    assert mesh.open_edges() == 0
    assert (np.cross(a, b) * c).sum() / 6 == pytest.approx(4 / 3 * np.pi, rel=0.02)


# ---- distance and alignment


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


def test_markers_fix_the_pose() -> None:
    marks = np.array([[0.0, 0, 0], [10, 0, 0], [0, 20, 0], [3, 4, 5]])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), [5.0, 6, 7]
    assert np.allclose(rigid(marks, marks @ pose[:3, :3].T + pose[:3, 3]), pose)
    with pytest.raises(BadSettings, match="lie on one line"):
        rigid(np.arange(9.0).reshape(3, 3), np.arange(9.0).reshape(3, 3))


# ---- comparison


def dented_cloud(depth: float) -> Cloud:
    """Points on the upper face of the plate, pressed in over 6 mm."""
    grid = np.stack(np.meshgrid(np.arange(-45, 45, 0.4), np.arange(-25, 25, 0.4)), -1).reshape(
        -1, 2
    )
    away = np.hypot(*(grid - [20, 0]).T)
    z = 30.0 - depth * (away < 3)
    noise = 0.02 * np.random.default_rng(0).standard_normal(len(grid))
    return Cloud(np.column_stack([grid, z + noise]))


def block() -> Mesh:
    values = np.array([[x, y, z] for x in (-50.0, 50) for y in (-30.0, 30) for z in (0.0, 30)])
    faces = [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6],
             [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]]  # fmt: skip
    return Mesh(values, np.array(faces))


@cache
def block_distance() -> Distance:
    return Distance(block())


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


def test_units_are_never_guessed() -> None:
    with pytest.raises(DataError, match=r"say mm, cm or m \(--unit\)"):
        in_mm(np.ones(3), "")
    assert np.allclose(in_mm(np.ones(2), "m"), 1000)
    with pytest.raises(DataError, match="unit of the scan is not known"):
        comparison.same_unit("", "mm")
    with pytest.raises(DataError, match="the scan is in m, the reference in mm"):
        comparison.same_unit("m", "mm")


def test_cells_that_touch_are_one_group() -> None:
    place = np.array([[0, 0, 0], [1, 1, 1], [5, 5, 5], [2, 1, 1], [5, 6, 5], [-3, 0, 0]])
    groups = connected(place)
    assert groups[0] == groups[1] == groups[3] and groups[2] == groups[4]
    assert len(set(groups.tolist())) == 3


# ---- stages, check


def test_stages_resume_and_refuse_other_data(tmp_path: Path) -> None:
    part, rig = Part("drilled"), Rig(views=4, size=(96, 128))
    write_part(tmp_path / "scene", part, rig, mesh_step=2.0)
    model = stereo("zncc_sweep", {"window": 5})
    first = stages.depth(tmp_path / "scene", tmp_path / "depth", model, number_of_planes=16)
    assert first["views"] == 4 and first["done_before"] == 0
    (tmp_path / "depth" / "00000002.json").unlink()
    again = stages.depth(tmp_path / "scene", tmp_path / "depth", model, number_of_planes=16)
    assert again["done_before"] == 3
    with pytest.raises(DataError, match="holds results of other planes"):
        stages.depth(tmp_path / "scene", tmp_path / "depth", model, number_of_planes=17)
    chosen = stages.fusion_settings(
        tmp_path / "depth", relative=0.02, views=2, pixels=2.0, border=1
    )
    fused = stages.fuse(tmp_path / "scene", tmp_path / "depth", tmp_path / "fused", chosen)
    assert fused["points"] > 500 and fused["unit"] == "mm"
    found = stages.compare(
        tmp_path / "fused", tmp_path / "scene" / "part.stl", tmp_path / "compared",
        Settings(tolerance=1.0, how="placed"), reference_unit="mm",
    )  # fmt: skip
    plain = json.loads((tmp_path / "compared" / "findings.json").read_text())
    assert plain["points"] == len(found.cloud) and plain["unit"] == "mm"
    page = (tmp_path / "compared" / "report.html").read_text()
    assert "surface-canvas" in page and "https://" not in page
    rows = (tmp_path / "compared" / "deviation.csv").read_text().splitlines()
    assert len(rows) == 1 + len(found.cells)
    assert len(stages.cloud_of(tmp_path / "compared" / "deviation.ply", "mm")) == len(found.cloud)
    (tmp_path / "away").mkdir()
    (tmp_path / "scene" / "part.stl").rename(tmp_path / "away" / "part.stl")
    with pytest.raises(DataError, match="never guessed"):
        stages.compare(tmp_path / "fused", tmp_path / "away" / "part.stl", tmp_path / "x")


def test_good_scans_teach_their_habit(tmp_path: Path) -> None:
    reference = golden.learned(
        block(),
        [comparison.compare(shifted(0.1 + 0.01 * i), block_distance(),
                            Settings(how="placed")).cells for i in range(3)],
    )  # fmt: skip
    assert reference.mean.mean() == pytest.approx(0.11, abs=0.01)
    cells = comparison.compare(shifted(0.4), block_distance(), Settings(how="placed")).cells
    deviation, usual = reference.beyond(cells)
    assert np.median(deviation) == pytest.approx(0.29, abs=0.02)
    assert (deviation > usual).mean() > 0.9
    reference.save(tmp_path)
    same = golden.load_reference(tmp_path)
    assert np.array_equal(same.mean, reference.mean)


def shifted(by: float) -> Cloud:
    cloud = dented_cloud(0)
    return Cloud(cloud.points + np.array([0, 0, by]))


def test_a_check_of_shape_fits_saves_opens_and_finds_a_bend(tmp_path: Path) -> None:
    rig = Rig(views=3, size=(96, 128))
    for i in range(3):
        write_part(tmp_path / "part" / "good" / str(i), Part("drilled"), rig, Look(seed=50 * i),
                   mesh_step=2.0)  # fmt: skip
    write_part(tmp_path / "bent", Part("drilled", "bent", 2.0), rig, mesh_step=2.0)
    settings = {"planes": 24, "window": 5, "relative": 0.02, "cell": 4.0, "agree": 2}
    check = triscope.fit("zncc_sweep", tmp_path / "part", settings, out=tmp_path / "check",
                         calibrate=0.34)  # fmt: skip
    assert check.card.answers == "Depth" and check.card.data["train"] == 2
    opened = triscope.open(tmp_path / "check")
    bad = opened.inspect(tmp_path / "bent")
    assert bad.verdict.outcome == "fail" and bad.findings
    assert {f.label for f in bad.findings} <= {"raised", "lowered"}
    again = triscope.open(tmp_path / "check").inspect(tmp_path / "bent")
    assert again.score == bad.score
    page = opened.report(tmp_path / "bent", tmp_path / "report")  # type: ignore[attr-defined]
    assert "fail" in page.read_text()


def test_folders_that_hold_no_scan_are_said_so(tmp_path: Path) -> None:
    with pytest.raises(EmptyData, match="holds no scan: a scan is a folder with cams/"):
        golden.scans_of(tmp_path)


@pytest.mark.real
def test_fountain_photos_of_known_cameras_make_a_scene(tmp_path: Path) -> None:
    scene = stages.choose(
        real_data("strecha") / "fountain-P11", tmp_path / "scene", near=4.0, far=14.0, longest=192
    )
    assert len(scene.views) == 11 and scene.unit == "m"
    assert open_scene(tmp_path / "scene", "interval").views[0].size == (128, 192)


def test_a_check_answers_its_golden_views_when_it_is_opened(tmp_path: Path) -> None:
    from triscope.errors import CheckDamaged
    from triscope.kernel.runtime.golden import read_golden
    from triscope.shape import proof
    from triscope.shape.check import Fitted, ShapeCheck

    model = stereo("zncc_sweep", {"window": 5})
    card = Card(model="zncc_sweep", answers="Depth", settings={"window": 5}, size=(0, 0))
    check = ShapeCheck(card, {}, Seen())
    check.reference = golden.Reference(block(), *(np.zeros((0, 3), np.int64), *[np.zeros(0)] * 3))
    check.origin = Fitted(model, check.reference)
    check.save(tmp_path / "check")
    opened = triscope.open(tmp_path / "check")
    inputs, outputs = read_golden(tmp_path / "check")
    assert inputs["depth"]["images"].shape == (3, 64, 80, 3)
    assert outputs["depth"]["confidence"].shape == (4,) and outputs["depth"]["confidence"].min() > 0
    assert opened.card.tolerance == proof.TOLERANCE
    other = Card(model="zncc_sweep", answers="Depth", settings={"window": 15}, size=(0, 0))
    wrong = ShapeCheck(other, {}, Seen())
    wrong.reference, wrong.origin = check.reference, Fitted(model, check.reference)
    wrong.save(tmp_path / "wrong")
    with pytest.raises(CheckDamaged, match="answers its golden input with a difference"):
        triscope.open(tmp_path / "wrong")


def test_a_learned_model_without_torch_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    from triscope.errors import MissingExtra
    from triscope.kernel import catalogue

    def absent(name: str) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(catalogue, "load", absent)
    with pytest.raises(MissingExtra, match="rmvsnet computes its features with PyTorch, also when"):
        stereo("rmvsnet")


def test_a_reference_with_holes_is_compared_and_said_so() -> None:
    whole = block()
    holed = Distance(Mesh(whole.vertices, whole.faces[1:]))  # a triangle of the lower face is lost
    found = comparison.compare(dented_cloud(0.5), holed, Settings(tolerance=0.2))
    assert "the reference is not closed (3 edges belong to one face only)" in found.problems[0]
    assert [f.label for f in found.findings] == ["lowered"]
    assert not comparison.compare(dented_cloud(0), block_distance()).problems


def test_a_part_without_texture_is_told_what_to_do() -> None:
    view = good().views[0]
    grey = np.full((*view.size, 3), 120, np.uint8)
    depth = Depth(np.full(view.size, 300, np.float32), np.zeros(view.size, np.float32), view.K, 0.0)
    why = reasons(grey, depth, np.linspace(250, 350, 20), probability=0.3)
    assert (why == REASONS.index("textureless")).all()
    text = advice(depth, shares(why), view)
    assert "100% of the pixels are without texture: project a pattern" in text
    flat = Depth(depth.values, depth.confidence, view.K, 0.95)
    assert "check the depth range and its unit first" in advice(flat, shares(why), view)


def test_tolerances_carry_their_cells() -> None:
    small, large = comparison.settings_for(0.2), comparison.settings_for(30.0, cell=100.0)
    assert (small.cell, small.far, small.area) == pytest.approx((1.0, 3.0, 0.5))
    assert (large.cell, large.far, large.area) == pytest.approx((100.0, 450.0, 5000.0))
