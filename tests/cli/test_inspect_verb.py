"""``triscope inspect``: sources, files that are written, exit codes, one object on stdout."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from cli_checks import PEAK, bad_picture, good_picture, tiny_check
from cli_runs import run

from triscope.cli import _run
from triscope.cli import inspect as verb


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_check(tmp_path_factory.mktemp("checks") / "tiny")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two good pictures and a bad one."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, picture in zip("abc", (good_picture(), good_picture(), bad_picture()), strict=True):
        cv2.imwrite(str(folder / f"{name}.png"), picture)
    return folder


def test_a_folder(check: Path, photos: Path) -> None:
    answer = run("inspect", check, photos)
    assert answer.code == 1  # a capture failed
    assert "pass 2, review 0, fail 1" in answer.out
    assert f"{photos}/c.png" in answer.out


def test_all_good_is_0(check: Path, photos: Path) -> None:
    assert run("inspect", check, photos / "a.png", photos / "b.png").code == 0


def test_one_object_and_nothing_else(check: Path, photos: Path) -> None:
    answer = run("inspect", check, photos, "--json")
    assert set(answer.json) == set(verb.KEYS)
    assert (answer.code, answer.err) == (1, "")
    assert [answer.json[name] for name in ("captures", "pass", "review", "fail")] == [3, 2, 0, 1]
    worst = max(answer.json["inspections"], key=lambda one: one["score"])
    assert worst["source"] == f"{photos}/c.png"
    assert worst["verdict"] == "fail"
    assert worst["score"] == pytest.approx(PEAK, abs=0.02)
    x0, y0, x1, y1 = worst["findings"][0]["box"]
    assert x0 <= 10 < 20 <= x1
    assert y0 <= 4 < 10 <= y1


def test_globs_and_stdin_answer_alike(check: Path, photos: Path) -> None:
    by_glob = run("inspect", check, f"{photos}/*.png", "--json").json
    names = "".join(f"{photos}/{name}.png\n" for name in "abc")
    by_stdin = run("inspect", check, "-", "--json", stdin=names + "\n").json
    scores = [[one["score"] for one in found["inspections"]] for found in (by_glob, by_stdin)]
    assert scores[0] == scores[1]
    assert len(scores[0]) == 3


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(check: Path, photos: Path) -> None:
    (photos / "d.png").write_bytes((photos / "a.png").read_bytes()[:60])
    missing, nowhere = photos / "nix.png", photos / "nowhere"
    answer = run("inspect", check, photos / "d.png", missing, photos / "a.png", nowhere, "--json")
    assert answer.code == 1
    assert answer.json["captures"] == 1
    told = {item["source"]: item["error"] for item in answer.json["skipped"]}
    assert set(told) == {str(photos / "d.png"), str(missing), str(nowhere)}
    assert "there is no such file" in told[str(missing)]
    people = run("inspect", check, missing, photos / "a.png")
    assert people.code == 1
    assert "not readable 1" in people.out
    assert f"not read: {missing}" in people.err


def test_nothing_to_inspect_is_3(check: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    answer = run("inspect", check, empty)
    assert (answer.code, answer.out) == (3, "")
    assert "holds no image" in answer.err


def test_no_check_there(tmp_path: Path, photos: Path) -> None:
    answer = run("inspect", tmp_path, photos)
    assert answer.code == 3
    assert "is not a check: it holds no card.json" in answer.err


def test_a_check_edited_by_hand_is_refused(check: Path, photos: Path, tmp_path: Path) -> None:
    edited = tmp_path / "edited"
    shutil.copytree(check, edited)
    card = json.loads((edited / "card.json").read_text())
    card["zones"]["fail_above"] = 99.0
    (edited / "card.json").write_text(json.dumps(card))
    answer = run("inspect", edited, photos, "--json")
    assert answer.code == 3
    assert answer.json["error"] == "CheckDamaged"
    assert "was changed after it was sealed" in answer.err


def test_wrong_use_is_2(check: Path, photos: Path) -> None:
    assert run("inspect", check).code == 2
    mixed = run("inspect", check, "-", photos)
    assert mixed.code == 2
    assert "give either '-' (paths on stdin, a line each) or sources." in mixed.err
    ending = run("inspect", check, photos, "--out", photos / "x.txt")
    assert ending.code == 2
    assert "results are written as .jsonl, .csv or .parquet, not .txt" in ending.err


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_results_are_written(check: Path, photos: Path, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"results.{ending}"
    answer = run("inspect", check, photos, photos / "nix.png", "--out", out, "--json")
    assert answer.json["inspections"] is None
    assert answer.json["out"] == str(out)
    lines = out.read_text().splitlines()
    assert len(lines) == 4 + (ending == "csv")
    assert "nix.png" in lines[-1]


def test_report_and_overlays(check: Path, photos: Path, tmp_path: Path) -> None:
    report, overlays = tmp_path / "r.html", tmp_path / "drawn"
    answer = run("inspect", check, photos, "--report", report, "--overlays", overlays)
    assert f"report: {report}" in answer.out
    text = report.read_text(encoding="utf-8")
    assert f"{photos} with {check}" in text
    assert "3 captures" in text
    assert [p.name[-12:] for p in sorted(overlays.iterdir())] == [f"photos_{n}.png" for n in "abc"]
    drawn = [cv2.imread(str(p)) for p in sorted(overlays.iterdir())]
    assert tuple(drawn[2][0, 0]) == (40, 40, 214)  # the failed one has a red band
    assert tuple(drawn[0][0, 0]) == (77, 127, 27)


def test_ctrl_c_keeps_what_was_done(
    check: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _run.Run.add

    def stopped(self: _run.Run, answer: object, sample: object) -> None:
        before(self, answer, sample)
        if self.counts.total() == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(_run.Run, "add", stopped)
    out, report = tmp_path / "o.jsonl", tmp_path / "r.html"
    answer = run("inspect", check, photos, "--out", out, "--report", report)
    assert answer.code == 130
    assert "stopped by Ctrl-C" in answer.err
    assert len(out.read_text().splitlines()) == 2
    assert "2 captures" in report.read_text()


def test_the_longest_list_is_bounded(check: Path, tmp_path: Path) -> None:
    for i in range(90):
        picture = good_picture()
        picture[3:9, 10:20] = 100 + i
        cv2.imwrite(str(tmp_path / f"{i:02d}.png"), picture)
    answer = run("inspect", check, tmp_path)
    assert "the 20 highest scores" in answer.out
    shown = [line for line in answer.out.splitlines() if ".png" in line]
    assert len(shown) == 20
    assert "89.png" in shown[0]
    assert np.all(np.diff([int(line.split(".png")[0][-2:]) for line in shown]) < 0)
