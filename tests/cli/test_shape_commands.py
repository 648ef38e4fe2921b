"""`triscope shape` and `triscope reconstruct`: what each command answers, writes and refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cli_runs import run

from triscope.shape.formats.meshes import write_stl
from triscope.shape.synth import Part

SMALL = ("--views", 4, "--width", 128)


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated part: its scene with part.stl."""
    folder = tmp_path_factory.mktemp("shape") / "part"
    ran = run("shape", "synth", "-o", folder, *SMALL, "--json")
    assert ran.code == 0 and ran.json["views"] == 4 and ran.json["unit"] == "mm"
    write_stl(folder / "part.stl", Part("drilled").mesh(2.0))  # coarser: quicker to compare with
    return folder


@pytest.fixture(scope="module")
def whole(part: Path) -> Path:
    """All stages through one command."""
    ran = run(
        "reconstruct", part, "-o", part.parent / "all", "--planes", 16, "--relative", 0.02,
        "--reference", part / "part.stl", "--reference-unit", "mm", "--tolerance", 1.0,
        "--align", "placed", "--json",
    )  # fmt: skip
    assert ran.code in (0, 1), ran.err
    assert ran.code == (1 if ran.json["findings"] else 0)
    assert ran.json["points"] > 300 and ran.json["unit"] == "mm"
    return part.parent / "all"


def test_reconstruct_leaves_every_stage_behind(whole: Path) -> None:
    for name in ("scene/pair.txt", "depth/00000000.pfm", "fused/cloud.ply",
                 "compared/report.html", "compared/deviation.csv"):  # fmt: skip
        assert (whole / name).is_file(), name
    assert "surface-canvas" in (whole / "compared" / "report.html").read_text()


def test_the_stages_one_by_one(part: Path, whole: Path, tmp_path: Path) -> None:
    ran = run("shape", "views", part, "-o", tmp_path / "scene", "--json")
    assert ran.code == 0 and ran.json["layout"] == "mvsnet" and ran.json["near"] < ran.json["far"]
    ran = run("shape", "depth", part, "-o", tmp_path / "depth", "--planes", 16, "--json")
    assert ran.code == 0 and ran.json["views"] == 4 and ran.json["done_before"] == 0
    again = run("shape", "depth", part, "-o", tmp_path / "depth", "--planes", 16, "--json")
    assert again.json["done_before"] == 4
    ran = run("shape", "fuse", part, tmp_path / "depth", "-o", tmp_path / "fused",
              "--relative", 0.02, "--json")  # fmt: skip
    assert ran.code == 0 and ran.json["points"] > 300
    asked = ("shape", "compare", tmp_path / "fused", part / "part.stl", "-o", tmp_path / "c",
             "--reference-unit", "mm", "--tolerance", 1.0, "--align", "placed")  # fmt: skip
    ran = run(*asked, "--json")
    assert ran.json["tolerance_mm"] == 1.0 and ran.json["points"] > 0
    assert json.loads((tmp_path / "c" / "findings.json").read_text())["unit"] == "mm"
    shown = run(*asked)
    assert "report.html" in shown.out


def test_what_cannot_be_compared_is_said_before_the_work(part: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(part, bare)
    (bare / "unit.txt").unlink()
    ran = run("reconstruct", bare, "-o", tmp_path / "out", "--reference", part / "part.stl")
    assert ran.code == 3 and not (tmp_path / "out" / "depth").exists()
    assert "give --board, --distance or --markers for photos" in ran.err
    shutil.copytree(part / "images", tmp_path / "photos")
    ran = run("reconstruct", tmp_path / "photos", "-o", tmp_path / "out",
              "--reference", part / "part.stl")  # fmt: skip
    assert ran.code == 3 and "the scale of the scene is not known" in ran.err


def test_ranges_and_depth_lines_that_cannot_be_meant(part: Path, tmp_path: Path) -> None:
    ran = run("shape", "views", part, "-o", tmp_path / "a", "--near", 400, "--far", 200)
    assert ran.code == 3 and "They seem to be swapped" in ran.err
    two = tmp_path / "two"
    shutil.copytree(part, two)
    for path in (two / "cams").iterdir():
        lines = path.read_text().rstrip().splitlines()
        path.write_text("\n".join([*lines[:-1], " ".join(lines[-1].split()[:2])]) + "\n")
    ran = run("shape", "views", two, "-o", tmp_path / "b")
    assert ran.code == 3 and "--depth-line interval|max" in ran.err
    assert run("shape", "views", two, "-o", tmp_path / "c", "--depth-line", "interval").code == 0


def test_two_photos_have_no_cameras(part: Path, tmp_path: Path) -> None:
    pytest.importorskip("pycolmap")
    (tmp_path / "photos").mkdir()
    for name in ("00000000.png", "00000001.png"):
        shutil.copy(part / "images" / name, tmp_path / "photos" / name)
    ran = run("shape", "cameras", tmp_path / "photos", "-o", tmp_path / "scene")
    assert ran.code == 3 and "has 2 photos: cameras are found from 3 or more" in ran.err


def test_training_writes_weights_that_answer(part: Path, tmp_path: Path) -> None:
    ran = run("shape", "train", part, "-o", tmp_path / "t", "--network", "mvsnet", "--steps", 2,
              "--planes", 8, "--longest", 64, "--warm-up", 1, "--json")  # fmt: skip
    assert ran.code == 0, ran.err
    assert ran.json["steps"] == 2 and ran.json["scenes"] == 1 and "near" in ran.json["losses"]
    weights = tmp_path / "t" / "mvsnet.safetensors"
    ran = run("shape", "depth", part, "-o", tmp_path / "d", "--model", "mvsnet", "--weights",
              weights, "--planes", 8, "--sources", 2, "--json")  # fmt: skip
    assert ran.code == 0 and ran.json["views"] == 4


def test_folders_are_scored(part: Path, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triscope.shape.scoring.SAMPLES", 20_000)
    ran = run("shape", "evaluate", whole / "depth", part, "--json")
    assert ran.code == 0, ran.err
    assert len(ran.json["views"]) == 4 and 0 < ran.json["mean"]["within_5"] <= 1
    shown = run("shape", "evaluate", whole / "depth", part, "--confidence", 0.5)
    assert shown.code == 0 and "mean" in shown.out and "00000003" in shown.out
    ran = run("shape", "evaluate", whole / "fused", part / "part.stl", "--within", 2, "--json")
    assert ran.code == 0 and ran.json["precision"] > ran.json["recall"] > 0
    shown = run("shape", "evaluate", whole / "fused", whole / "fused/cloud.ply")
    assert shown.code == 0 and "completeness" in shown.out and "100.0%" in shown.out
    ran = run("shape", "evaluate", whole / "fused", part / "nothing.ply")
    assert ran.code != 0 and "nothing.ply" in ran.err


def test_results_of_other_photos_are_never_handed_out(
    part: Path, whole: Path, tmp_path: Path
) -> None:
    """Not in a folder that was used, by no stage."""
    other = tmp_path / "other"
    assert run("shape", "synth", "-o", other, *SMALL, "--defect", "bent").code == 0
    used = tmp_path / "used"
    shutil.copytree(whole, used)
    ran = run("reconstruct", other, "-o", used, "--planes", 16)
    assert ran.code == 3 and "holds results of other source" in ran.err
    ran = run("reconstruct", part, "-o", used, "--planes", 16, "--longest", 64)
    assert ran.code == 3 and "other longest" in ran.err
    (tmp_path / "empty").mkdir()
    ran = run("reconstruct", tmp_path / "empty", "-o", used)
    assert ran.code == 3 and "other source" in ran.err
    ran = run("shape", "fuse", other, whole / "depth", "-o", tmp_path / "fused")
    assert ran.code == 3 and "is the depth of another scene" in ran.err
    ran = run("shape", "synth", "-o", other, "--views", 3, "--width", 128)
    assert ran.code == 3 and "holds a scene of 4 views, this one has 3" in ran.err


def test_options_that_contradict_what_is_there(part: Path, whole: Path, tmp_path: Path) -> None:
    stl = part / "part.stl"
    for words, told in (
        (("reconstruct", part, "--unit", "m"), "the scene says its poses are in 'mm'"),
        (("reconstruct", part, "--distance", "00000000", "00000001", 9.0), "has its scale already"),
        (("shape", "compare", whole / "fused", stl, "--reference-unit", "m"), "unit.txt says mm"),
    ):
        ran = run(*words, "-o", tmp_path / "out")
        assert ran.code == 3 and told in ran.err, ran.err
    for more, told in ((("--within", 0.1), "expected more than --tolerance"),):
        ran = run("shape", "compare", whole / "fused", stl, *more, "-o", tmp_path / "out")
        assert ran.code == 2 and told in ran.err
    ran = run("shape", "depth", part, "--weights", "own", "-o", tmp_path / "out")
    assert ran.code == 2 and "zncc_sweep learns nothing" in ran.err
    photos = tmp_path / "photos"
    shutil.copytree(part / "images", photos)
    ran = run("reconstruct", photos, "--distance", "00000000", "nope", 9.0, "-o", tmp_path / "out")
    assert ran.code == 3 and "has no photo nope" in ran.err


def test_what_one_should_know_is_on_the_page_and_in_the_answer(
    part: Path, whole: Path, tmp_path: Path
) -> None:
    ran = run("shape", "compare", whole / "fused", part / "part.stl", "--tolerance", 1.0,
              "--cell", 1.5, "--align", "placed", "-o", tmp_path, "--json")  # fmt: skip
    assert ran.code in (0, 1), ran.err
    assert any("the rest is not judged" in told for told in ran.json["problems"]), ran.json
    assert "the rest is not judged" in (tmp_path / "report.html").read_text()


def test_two_views_are_enough_where_two_must_agree(tmp_path: Path) -> None:
    two = tmp_path / "two"
    assert run("shape", "synth", "-o", two, "--views", 2, "--width", 128).code == 0
    common = ("reconstruct", two, "-o", tmp_path / "out", "--planes", 16, "--relative", 0.02)
    ran = run(*common)
    assert ran.code == 3 and "must agree" in ran.err
    ran = run(*common, "--views", 2, "--json")
    assert ran.code == 0 and ran.json["points"] > 50
