"""`triscope reconstruct` and `triscope shape compare` align by coded targets or by lists."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_runs import run

from painted import marked, moved, truth, turned
from triscope.shape.formats.meshes import write_stl
from triscope.shape.formats.mvsnet import write_scene
from triscope.shape.markers import read_places, write_places
from triscope.shape.synth import Part


def test_the_commands_align_by_markers(tmp_path: Path) -> None:
    write_scene(tmp_path / "scene", moved(marked(), turned()))
    write_stl(tmp_path / "part.stl", Part("drilled").mesh(2.0))
    write_places(tmp_path / "markers.txt", truth())
    common = ("--reference-unit", "mm", "--tolerance", 1.0, "--within", 3.0, "--json",
              "--markers", tmp_path / "markers.txt")  # fmt: skip
    ran = run("reconstruct", tmp_path / "scene", "-o", tmp_path / "out", "--planes", 32,
              "--relative", 0.02, "--depth-line", "interval",
              "--reference", tmp_path / "part.stl", *common)  # fmt: skip
    assert ran.code in (0, 1), ran.err
    listed = tmp_path / "out/scene/markers_4x4_50.txt"
    found, back = read_places(listed, "mm"), np.linalg.inv(turned())
    for name, place in truth().items():
        assert np.linalg.norm(found[name] - (back[:3, :3] @ place + back[:3, 3])) < 0.6
    compare = ("shape", "compare", tmp_path / "out/fused", tmp_path / "part.stl",
               "-o", tmp_path / "compared", *common)  # fmt: skip
    rans = [run(*compare, "--scan-markers", place) for place in (tmp_path / "scene", listed)]
    assert abs(rans[0].json["mean"]) < 0.3 and rans[0].json["covered"] > 0.3
    assert rans[0].json["aligned_rms"] == pytest.approx(rans[1].json["aligned_rms"], rel=1e-3)
    alone = run(*compare)
    assert alone.code == 2 and "go together" in alone.err


def test_a_scene_keeps_the_markers_that_scaled_it(tmp_path: Path) -> None:
    free = marked()
    views = [replace(view, cam_T_world=halved(view.cam_T_world)) for view in free.views]
    write_scene(tmp_path / "free", free.with_(views=tuple(views), unit="", ranges={}))
    lists = {}
    for name, factor in (("right", 1.0), ("wrong", 1.5)):
        lists[name] = tmp_path / f"{name}.txt"
        write_places(lists[name], {n: factor * place for n, place in truth().items()})
    other = {f"x{n}": place for n, place in truth().items()}
    write_places(tmp_path / "other.txt", other)
    start = ("reconstruct", tmp_path / "free", "--planes", 16, "--relative", 0.02,
             "--depth-line", "interval", "--json")  # fmt: skip
    ran = run(*start, "-o", tmp_path / "a", "--markers", lists["right"])
    assert ran.code == 2 and "--reference-unit" in ran.err
    unit = ("--reference-unit", "mm")
    ran = run(*start, "-o", tmp_path / "a", "--markers", tmp_path / "other.txt", *unit)
    assert ran.code == 3 and "0 in common" in ran.err
    assert not list((tmp_path / "a").rglob("markers_*.txt"))
    ran = run(*start, "-o", tmp_path / "a", "--markers", lists["wrong"], *unit)
    assert ran.code == 0 and ran.json["unit"] == "mm", ran.err
    ran = run(*start, "-o", tmp_path / "a", "--markers", lists["right"], *unit)
    assert ran.code == 3 and "was scaled by other markers; remove" in ran.err
    ran = run(*start, "-o", tmp_path / "b")
    assert ran.code == 0 and ran.json["unit"] == ""
    ran = run(*start, "-o", tmp_path / "b", "--markers", lists["right"], *unit)
    assert ran.code == 3 and "its cameras were found without markers; remove" in ran.err


def halved(pose: np.ndarray) -> np.ndarray:
    pose = pose.copy()
    pose[:3, 3] /= 2.0
    return pose
