"""Markers: lists of places, coded targets in photos, the scale and the pose that they give."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

import triscope
from painted import RIG, chessboard, marked, moved, painted, truth, turned, with_targets
from triscope.cli._shape._shared import TARGETS
from triscope.errors import BadSettings, DataError
from triscope.shape.alignment import Pairs, by_markers
from triscope.shape.formats.meshes import write_stl
from triscope.shape.formats.mvsnet import write_scene
from triscope.shape.habits import load_reference
from triscope.shape.markers import (
    Known,
    Targets,
    in_common,
    read_places,
    scaled_by_markers,
    targets_in,
    write_places,
)
from triscope.shape.scale import met, scaled_by_board, scaled_by_cameras
from triscope.shape.scene import Scene
from triscope.shape.synth import Part, make_scene


@pytest.mark.parametrize("kind", get_args(Targets))
def test_coded_targets_are_found_where_they_lie(kind: Targets) -> None:
    found = targets_in(with_targets(plain(), kind), kind)
    assert found.keys() == truth().keys()
    for name, place in truth().items():
        assert np.linalg.norm(found[name] - place) < 0.6


def test_a_target_that_one_view_sees_elsewhere_is_judged_by_the_others() -> None:
    scene = marked()
    off = scene.views[2].cam_T_world.copy()
    off[:3, 3] += [8.0, 0, 0]
    views = [*scene.views[:2], replace(scene.views[2], cam_T_world=off), scene.views[3]]
    found = targets_in(scene.with_(views=tuple(views)))
    assert all(np.linalg.norm(found[name] - place) < 0.6 for name, place in truth().items())
    with pytest.raises(DataError, match=r"0 of them meet in space.*the views do not agree"):
        targets_in(scene.with_(views=(scene.views[0], views[2])))
    with pytest.raises(
        DataError, match=r"0 are seen in two photos .* Check their kind \(--targets\)"
    ):
        targets_in(scene, "apriltag_36h11")


@cache
def plain() -> Scene:
    return make_scene(Part("drilled"), RIG)


def test_two_views_from_nearly_one_place_tell_no_depth() -> None:
    scene = marked()
    near = replace(scene.views[0], name="again")
    with pytest.raises(DataError, match="look from nearly one place"):
        targets_in(scene.with_(views=(scene.views[0], near)))


def test_rays_meet_where_the_place_is() -> None:
    scene = marked()
    places = np.array([[0.0, 0, 4], [20, -10, 1], [-30, 15, 0]])
    seen = {}
    for i, view in enumerate(scene.views):
        pixels = (places @ view.cam_T_world[:3, :3].T + view.cam_T_world[:3, 3]) @ view.K.T
        seen[i] = pixels[:, :2] / pixels[:, 2:]
    seen[1] = seen[1] + [0.0, 3.0]
    found, off = met(scene, seen)
    assert np.abs(found - places).max() < 2 and off[1].min() > off[0].max()
    del seen[1]
    found, off = met(scene, seen)
    assert np.abs(found - places).max() < 1e-6 and off.max() < 1e-6


def test_markers_give_the_scale() -> None:
    free = marked()
    views = []
    for view in free.views:
        pose = view.cam_T_world.copy()
        pose[:3, 3] /= 7.0
        views.append(replace(view, cam_T_world=pose))
    free = free.with_(views=tuple(views), unit="")
    swapped = dict(zip(truth(), list(truth().values())[::-1], strict=True))
    swapped["0"] = swapped["0"] + [0, 30.0, 0]
    with pytest.raises(DataError, match="check names, places and unit"):
        scaled_by_markers(free, Known(swapped))
    scaled = scaled_by_markers(free, Known(truth()))
    assert scaled.unit == "mm"
    for ours, view in zip(scaled.views, marked().views, strict=True):
        assert np.allclose(ours.cam_T_world, view.cam_T_world, atol=0.5)


def test_a_board_and_two_cameras_give_the_scale() -> None:
    plain = make_scene(Part("drilled"), RIG)
    shown = painted(plain, chessboard(6, 5), (0.0, 0.0), 9 * 8.0)  # 9 squares wide, of 8 mm
    half = shown.with_(unit="")
    views = []
    for view in half.views:
        pose = view.cam_T_world.copy()
        pose[:3, 3] /= 2.0
        views.append(replace(view, cam_T_world=pose))
    half = half.with_(views=tuple(views))
    by_board = scaled_by_board(half, (6, 5), 8.0)
    one, two = (view.name for view in half.views[:2])
    apart = float(np.linalg.norm(plain.views[0].centre - plain.views[1].centre))
    by_cameras = scaled_by_cameras(half, one, two, apart)
    for found, within in ((by_board, 2.0), (by_cameras, 1e-6)):
        for ours, view in zip(found.views, plain.views, strict=True):
            assert np.allclose(ours.cam_T_world, view.cam_T_world, atol=within)
    with pytest.raises(DataError, match="is seen in 0 views: 2 are needed"):
        scaled_by_board(plain, (6, 5), 8.0)
    with pytest.raises(BadSettings, match="expected two places"):
        scaled_by_cameras(half, one, one, 5.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [("a 1 2\n", "line 1: expected 'name x y z', got 'a 1 2'"),
     ("a 1 2 x\n", "line 1: expected numbers"),
     ("a 1 2 nan\n", "not finite"),
     ("a 1 2 3\n\na 1 2 3\n", "line 3: the marker 'a' is there twice"),
     ("a 1 2 3\nb 1 2 3 # two\n", "has 2 markers: 3 or more are needed")],
)  # fmt: skip
def test_lists_that_cannot_be_meant(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "markers.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_places(path, "mm")


def test_lists_come_back_in_millimetres(tmp_path: Path) -> None:
    write_places(tmp_path / "m.txt", truth())
    for unit, factor in (("mm", 1.0), ("cm", 10.0)):
        found = read_places(tmp_path / "m.txt", unit)
        assert all(np.allclose(found[name], factor * place) for name, place in truth().items())
    with pytest.raises(DataError, match="never guessed"):
        read_places(tmp_path / "m.txt", "")


def test_markers_that_are_not_the_same_give_no_pose() -> None:
    with pytest.raises(DataError, match=r"the reference 0, 3, 7, 11: 2 in common, 3 are needed"):
        in_common({"0": np.zeros(3), "3": np.ones(3), "b": np.ones(3)}, truth())
    places = np.stack(list(truth().values()))
    swapped = places[[1, 0, 2, 3]]
    with pytest.raises(DataError, match=r"the marker \d+ lies .* off its place .* no verdict"):
        by_markers(Pairs(tuple(truth()), places, swapped), 1.0)
    line = np.array([[0.0, 0, 0], [60, 0, 0], [120, 0, 0]])
    noisy = line + 0.05 * np.random.default_rng(0).normal(size=(3, 3))
    with pytest.raises(BadSettings, match="lie on one line"):
        by_markers(Pairs(("a", "b", "c"), noisy, line), 1.0)
    there = turned()
    pose = by_markers(Pairs(tuple(truth()), places, places @ there[:3, :3].T + there[:3, 3]), 1.0)
    assert np.allclose(pose, there)


def test_a_check_aligns_its_scans_by_markers(tmp_path: Path) -> None:
    for i in range(2):
        write_scene(tmp_path / "part/good" / str(i), marked(seed=50 * i))
    write_scene(tmp_path / "good", moved(marked(seed=50), turned()))
    write_scene(tmp_path / "bent", moved(marked("bent"), turned()))
    write_stl(tmp_path / "part/part.stl", Part("drilled").mesh(2.0))
    settings = {"planes": 20, "window": 5, "relative": 0.02, "cell": 4.0, "agree": 2,
                "how": "markers"}  # fmt: skip
    with pytest.raises(DataError, match=r"markers\.txt is not there"):
        triscope.fit("zncc_sweep", tmp_path / "part", settings, calibrate=0)
    write_places(tmp_path / "part/markers.txt", truth())
    (tmp_path / "part/part.stl").rename(tmp_path / "kept.stl")
    with pytest.raises(DataError, match="there is none beside it"):
        triscope.fit("zncc_sweep", tmp_path / "part", settings, calibrate=0)
    (tmp_path / "kept.stl").rename(tmp_path / "part/part.stl")
    triscope.fit("zncc_sweep", tmp_path / "part", settings, out=tmp_path / "check", calibrate=0)
    known = load_reference(tmp_path / "check").markers
    assert all(np.allclose(known[name], place) for name, place in truth().items())
    opened = triscope.open(tmp_path / "check")
    good, bent = (opened.inspect(tmp_path / name).score for name in ("good", "bent"))
    assert bent > 0.4 > good
    write_scene(tmp_path / "bare", make_scene(Part("drilled"), RIG))
    with pytest.raises(DataError, match="0 are seen in two photos"):
        opened.inspect(tmp_path / "bare")


def test_without_a_nominal_part_the_first_scan_shows_where_its_markers_lie(tmp_path: Path) -> None:
    for i in range(2):
        write_scene(tmp_path / "part/good" / str(i), marked(seed=50 * i))
    settings = {"planes": 20, "window": 5, "relative": 0.02, "cell": 4.0, "agree": 2, "voxel": 2.0,
                "how": "markers"}  # fmt: skip
    triscope.fit("zncc_sweep", tmp_path / "part", settings, out=tmp_path / "check", calibrate=0)
    found = load_reference(tmp_path / "check").markers
    assert all(np.linalg.norm(found[name] - place) < 0.6 for name, place in truth().items())


def test_settings_that_name_no_way_or_no_code() -> None:
    assert get_args(Targets) == TARGETS  # the command line knows them without loading the rest
    with pytest.raises(BadSettings, match="expected one of placed, markers, nearby, shape"):
        triscope.fit("zncc_sweep", ".", {"how": "guess"})
    with pytest.raises(BadSettings, match="expected one of 4x4_50"):
        triscope.fit("zncc_sweep", ".", {"targets": "qr"})
