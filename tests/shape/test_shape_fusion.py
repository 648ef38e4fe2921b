"""Depth maps to points and meshes, and why pixels have no depth."""

from __future__ import annotations

import numpy as np
import pytest
from shape_toys import good, sources_of, true_views

from triscope.errors import BadSettings, DataError, EmptyData
from triscope.kernel.results import Depth
from triscope.shape import fusion
from triscope.shape.isosurface import isosurface
from triscope.shape.matching import REASONS, advice, reasons, shares
from triscope.shape.synth import Part
from triscope.shape.tsdf import tsdf_mesh


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
    asked = np.zeros(wrong.shape, bool)
    asked[20:50, 10:90] = True
    some = fusion.agreement(seen[0], others, fusion.Settings(), asked)
    assert np.array_equal(some.views, found.views * asked)
    assert np.array_equal(some.depth[asked], found.depth[asked])
    assert all(np.array_equal(some.places[j][asked], found.places[j][asked]) for j in others)
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
