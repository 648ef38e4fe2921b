"""Folders scored: views against their true depth, clouds against DTU's masks, meshes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat
from shape_toys import block, good

from triscope.errors import BadSettings, DataError, EmptyData
from triscope.shape import scoring, stages
from triscope.shape.evaluation import cloud_errors, depth_errors, f_score, thinned, truth_at
from triscope.shape.formats.meshes import write_stl
from triscope.shape.formats.mvsnet import write_scene
from triscope.shape.formats.ply import write_ply
from triscope.shape.scoring import Settings, above_plane, in_volume, score_cloud, score_depth
from triscope.shape.stereo import stereo
from triscope.shape.surface import Cloud
from triscope.shape.synth import Part, Rig, write_part

RNG = np.random.default_rng(0)
AS_IS = Settings(cut=0.3, thin=0.0, within=0.1)


def cloud_file(folder: Path, name: str, points: Any) -> Path:
    write_ply(folder / name, Cloud(np.asarray(points, np.float64)))
    return folder / name


def test_each_view_is_held_against_its_true_depth(tmp_path: Path) -> None:
    rig = Rig(views=3, size=(96, 128))
    scene = write_part(tmp_path / "part", Part("drilled"), rig, mesh_step=4.0)
    model = stereo("zncc_sweep", {"window": 5})
    stages.depth(tmp_path / "part", tmp_path / "depth", model, number_of_planes=16)
    found = score_depth(tmp_path / "depth", tmp_path / "part")
    seen = stages.read_seen(scene, tmp_path / "depth", colours=False)
    for view, one in zip(scene.views, seen, strict=True):
        truth = truth_at(view.true_depth(), one.depth.values.shape)  # type: ignore[arg-type]
        assert found[view.name] == depth_errors(one.depth.values, truth)
    sure = score_depth(tmp_path / "depth", tmp_path / "part", 0.7)
    assert all(sure[name].pixels < found[name].pixels for name in found)
    for view, one in zip(scene.views, seen, strict=True):  # what is not sure is not answered
        left = np.where(one.depth.confidence >= 0.7, one.depth.values, 0)
        truth = truth_at(view.true_depth(), left.shape)  # type: ignore[arg-type]
        assert sure[view.name].known == pytest.approx(((left > 0) & (truth > 0)).sum()
                                                      / (truth > 0).sum())  # fmt: skip
    with pytest.raises(EmptyData, match="with a confidence of 2 or more"):
        score_depth(tmp_path / "depth", tmp_path / "part", 2.0)
    mean = scoring.mean_of(found)
    assert mean["median_rel"] == pytest.approx(np.mean([e.median_rel for e in found.values()]))
    write_scene(tmp_path / "bare", good())
    with pytest.raises(EmptyData, match="has both a true depth and an answer"):
        score_depth(tmp_path / "depth", tmp_path / "bare")


def test_clouds_are_thinned_cut_and_counted(tmp_path: Path) -> None:
    one, two = RNG.random((400, 3)), RNG.random((500, 3))
    a, b = cloud_file(tmp_path, "a.ply", one), cloud_file(tmp_path, "b.ply", two)
    found = score_cloud(a, b, AS_IS)
    errors, share = cloud_errors(one, two, cut=0.3), f_score(one, two, 0.1)
    assert found["accuracy"] == errors.accuracy and found["overall"] == errors.overall
    assert (found["precision"], found["f"]) == (share.precision, share.f)
    thin = score_cloud(a, b, Settings(cut=0.3, thin=0.2, within=0.1))
    assert thin["points"] == len(thinned(one, 0.2)) < 400
    with pytest.raises(BadSettings, match="cut=0"):
        Settings(cut=0.0)


def test_what_dtu_did_not_observe_does_not_count(tmp_path: Path) -> None:
    mask = RNG.random((4, 5, 6)) > 0.5
    corners, side = np.array([[-1.0, 0, 2], [9, 9, 9]]), 1.1
    savemat(tmp_path / "ObsMask.mat", {"ObsMask": mask, "BB": corners, "Res": side})
    savemat(tmp_path / "Plane.mat", {"P": np.array([[0.0], [0.0], [1.0], [-2.7]])})
    points = RNG.uniform(-2, 6, (600, 3))
    slow = []
    for point in points:
        at = [round(x) for x in (point - corners[0]) / side]
        inside = all(0 <= i < n for i, n in zip(at, mask.shape, strict=True))
        slow.append(inside and bool(mask[tuple(at)]))
    there = in_volume(points, tmp_path / "ObsMask.mat")
    assert there.tolist() == slow and 5 < there.sum() < 400
    above = above_plane(points, tmp_path / "Plane.mat")
    assert np.array_equal(above, points[:, 2] > 2.7)
    a = cloud_file(tmp_path, "a.ply", points)
    b = cloud_file(tmp_path, "b.ply", points[::-1] + 0.01)
    found = score_cloud(a, b, AS_IS, observed=tmp_path / "ObsMask.mat",
                        plane=tmp_path / "Plane.mat")  # fmt: skip
    true = points[::-1] + 0.01
    kept = true[:, 2] > 2.7
    errors = cloud_errors(points, true, cut=0.3, observable=there, observed=kept)
    assert found["accuracy"] == errors.accuracy and found["completeness"] == errors.completeness
    assert found["recall"] == f_score(points[there], true[kept], 0.1).recall
    with pytest.raises(DataError, match="has no ObsMask, BB, Res: it holds P"):
        in_volume(points, tmp_path / "Plane.mat")
    (tmp_path / "bad.mat").write_bytes(b"no matrix" * 40)
    with pytest.raises(DataError, match="cannot be read as a MATLAB file"):
        above_plane(points, tmp_path / "bad.mat")


def test_a_mesh_is_a_truth_too_and_units_must_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "SAMPLES", 200_000)
    write_stl(tmp_path / "block.stl", block())
    (tmp_path / "fused").mkdir()
    points = np.column_stack([RNG.uniform(-45, 45, (300, 2)) * [1, 0.5], np.full(300, 30.4)])
    cloud_file(tmp_path / "fused", "cloud.ply", points)
    found = score_cloud(tmp_path / "fused", tmp_path / "block.stl")
    assert found["to_mesh_mean"] == pytest.approx(0.4) == found["to_mesh_rms"]
    assert found["precision"] == 1.0 and found["recall"] < 0.2
    (tmp_path / "unit.txt").write_text("mm\n")
    (tmp_path / "fused/unit.txt").write_text("m\n")
    with pytest.raises(DataError, match=r"is in m, .*block\.stl in mm: scale one of them first"):
        score_cloud(tmp_path / "fused", tmp_path / "block.stl")
