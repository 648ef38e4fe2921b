"""The stages from folder to folder, and a check of shape."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from shape_toys import block, block_distance, dented_cloud

import triscope
from outside import real_data
from triscope.errors import DataError, EmptyData
from triscope.kernel.results import Finding
from triscope.kernel.runtime.card import Card
from triscope.kernel.runtime.seen import Seen
from triscope.shape import comparison, golden, habits, stages
from triscope.shape.comparison import Settings
from triscope.shape.formats import open_scene
from triscope.shape.in_photo import Photo
from triscope.shape.stereo import stereo
from triscope.shape.surface import Cloud
from triscope.shape.synth import Look, Part, Rig, write_part
from triscope.shape.voids import Voids, blocks_of


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
    scans = [comparison.compare(shifted(0.1 + 0.01 * i), block_distance(), Settings(how="placed"))
             for i in range(3)]  # fmt: skip
    blocks = [blocks_of(scan.cloud.points, 1.0) for scan in scans]
    reference = habits.learned(block_distance(), [scan.cells for scan in scans], blocks, 1.0)
    assert reference.mean.mean() == pytest.approx(0.11, abs=0.01)
    cells = comparison.compare(shifted(0.4), block_distance(), Settings(how="placed")).cells
    deviation, usual = reference.beyond(cells)
    assert np.median(deviation) == pytest.approx(0.29, abs=0.02)
    assert (deviation > usual).mean() > 0.9
    reference.save(tmp_path)
    same = habits.load_reference(tmp_path)
    assert np.array_equal(same.mean, reference.mean)


def nothing() -> habits.Reference:
    empty = np.zeros((0, 3), np.int64)
    none = np.zeros(0, np.int64)
    return habits.Reference(block(), empty, np.zeros(0), np.zeros(0), none, Voids(empty))


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
    assert check.problems[-1].startswith("learned from 2 scans: what fills a hole is not judged")
    opened = triscope.open(tmp_path / "check")
    bad = opened.inspect(tmp_path / "bent")
    assert bad.verdict.outcome == "fail" and bad.findings
    assert {f.label for f in bad.findings} <= {"raised", "lowered"}
    assert bad.heatmap is not None and bad.heatmap.values.max() == pytest.approx(bad.score, rel=0.5)
    photo = opened.picture(tmp_path / "bent")
    boxes = [f.box for f in bad.findings if f.box is not None]
    assert boxes and photo.shape == (96, 128, 3) == (*bad.image_size, 3)
    assert all(0 <= x0 < x1 <= 128 and 0 <= y0 < y1 <= 96 for x0, y0, x1, y1 in boxes)
    again = triscope.open(tmp_path / "check").inspect(tmp_path / "bent")
    assert again.score == bad.score
    page = opened.report(tmp_path / "bent", tmp_path / "report")  # type: ignore[attr-defined]
    assert "fail" in page.read_text()


def test_what_is_off_is_shown_in_the_photo_unless_it_is_hidden() -> None:
    K = np.array([[100.0, 0, 32], [0, 100, 24], [0, 0, 1]])
    photo = Photo(K, np.eye(4), (48, 64))
    points = np.array([[0.0, 0, 10], [0, 0, 20], [1, 0, 10], [0, 0, -10], [50, 0, 10]])
    heat = photo.heat(points, np.array([0.2, 0.9, 0.4, 0.8, 0.7]), 0.4).values
    assert heat.shape == (12, 16)
    assert heat[6, 8] == np.float32(0.2)  # 0.9 lies behind it
    assert heat[6, 10] == np.float32(0.4)
    assert np.count_nonzero(heat) == 2  # what is behind the camera or beside the photo is not seen
    measures = {"x_mm": 1.0, "y_mm": 0.5, "z_mm": 10.0, "size_x_mm": 0.4, "size_y_mm": 0.2,
                "size_z_mm": 0.0}  # fmt: skip
    boxed = photo.boxed(Finding("raised", 0.4, measures=measures))
    assert boxed.box == pytest.approx((40, 28, 45, 31))
    behind = Finding("raised", 0.4, measures={**measures, "z_mm": -10.0})
    assert photo.boxed(behind).box is None


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
    check.reference = nothing()
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
