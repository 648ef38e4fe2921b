"""Generated parts, and which views are matched with which."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from shape_toys import good

from triscope.errors import BadSettings, DataError
from triscope.kernel.results import Depth
from triscope.shape import fusion, matching, views
from triscope.shape.distance import Distance
from triscope.shape.scene import Range, Scene
from triscope.shape.synth import KINDS, Look, Part, Rig
from triscope.shape.synth.render import photograph


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


def test_the_planes_that_are_asked_for_hold_for_a_scene_that_names_others() -> None:
    scene = good()
    named = scene.with_(ranges={0: Range(200.0, 400.0, 33)})
    assert len(matching.depths_of(named, 0, [1], 12)) == 12
    assert len(matching.depths_of(named, 0, [1], 0)) == 33
    assert len(matching.depths_of(scene, 0, [1], 0)) == 192
