"""The newcomer's path by commands: fit, calibrate, inspect, evaluate, learn, export."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cli_runs import Ran, run

from triscope.cli import calibrate, evaluate, export, fit, learn
from triscope.surface import synth

QUICK = ("--size", "96", "--keep", "0.1")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Painted plates in the MVTec layout: 30 to learn, 12 good and 4 of each defect to test."""
    folder = tmp_path_factory.mktemp("data") / "plates"
    return synth.write_set(folder, ["metal"], synth.Counts(train=30, good=12, bad=4), size=(96, 96))


@pytest.fixture(scope="module")
def fitted(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """A check made by the command, and what the command answered."""
    folder = tmp_path_factory.mktemp("checks") / "plates"
    return folder, run("fit", "patchcore", parts, "-o", folder, *QUICK, "--seed", "3", "--json")


@pytest.fixture
def check(fitted: tuple[Path, Ran], tmp_path: Path) -> Path:
    """A copy of the check that a test may change."""
    return Path(shutil.copytree(fitted[0], tmp_path / "check"))


def test_fit_answers_what_it_made(fitted: tuple[Path, Ran]) -> None:
    folder, answer = fitted
    assert answer.code == 0, answer.err
    assert set(answer.json) == set(fit.KEYS)
    assert answer.json["check"] == str(folder)
    assert answer.json["settings"]["size"] == 96
    assert answer.json["settings"]["seed"] == 3
    assert answer.json["data"]["train"] == 24
    assert answer.json["data"]["calibrate"] == 6
    assert answer.json["zones"]["basis"].startswith("At most ")
    assert answer.json["version"] == 1


def test_fit_tells_people_where_it_is_and_what_is_next(parts: Path, tmp_path: Path) -> None:
    settings = tmp_path / "quick.toml"
    settings.write_text("size = 96\nkeep = 0.5\n")
    check = tmp_path / "made" / "here"
    answer = run(
        "fit", "-o", check, "patchcore", parts, "--settings", settings, "--keep", "0.02",
        "--false-reject", "0.4", "--confidence", "0.9",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    assert f"{check}: patchcore, learned from 24 images" in answer.out
    assert "At most 40 % of good parts fail" in answer.out
    assert f"Next: triscope inspect {check} PHOTOS" in answer.out
    card = json.loads((check / "card.json").read_text())
    assert card["settings"]["keep"] == 0.02  # the flag wins over the file
    assert card["version"]["number"] == 2
    assert card["version"]["why"] == "calibrate"


def test_a_promise_too_low_loses_nothing(parts: Path, tmp_path: Path) -> None:
    check = tmp_path / "kept"
    answer = run("fit", "patchcore", parts, "-o", check, *QUICK, "--false-reject", "0.01")
    assert answer.code == 3
    assert "6 good parts: nothing below 39 % at 95 % confidence, but 1 % was asked" in answer.err
    assert json.loads((check / "card.json").read_text())["version"]["number"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("patchcor", "x"), "no model named 'patchcor'. Did you mean 'patchcore'?"),
        (("patchcore", "x", "--kep", "1"), "no such option '--kep'. Did you mean '--keep'?"),
        (("patchcore", "x", "--size", "tall"), "size='tall': expected a whole number."),
        (("patchcore", "x", "--keep", "7"), "keep=7.0: expected a share in (0, 1]."),
        (("patchcore", "x", "--min-area", "1 inch"), "'1 inch' is no size: expected 20px, 0.4mm"),
        (("patchcore", "--tile", "32"), "missing argument 'DATA'."),
    ],
)
def test_wrong_use_of_fit(arguments: tuple[str, ...], message: str) -> None:
    answer = run("fit", *arguments)
    assert answer.code == 2
    assert message in answer.err


def test_a_settings_file_is_read_with_care(parts: Path, tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    for text, message in (
        ("sise = 64", "no setting named 'sise'. Did you mean 'size'?"),
        ("size = [", "cannot be read as TOML"),
        ("[patchcore]\nsize = 64", "but [patchcore] is a table"),
    ):
        file.write_text(text)
        answer = run("fit", "patchcore", parts, "--settings", file)
        assert answer.code == 2
        assert message in answer.err
    assert "No such file" in run("fit", "patchcore", parts, "--settings", tmp_path / "no.toml").err


def test_data_that_cannot_be_used(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    answer = run("fit", "patchcore", empty, "-o", tmp_path / "c")
    assert answer.code == 3
    assert "holds no image" in answer.err
    assert not (tmp_path / "c").exists()


def test_calibrate_by_promise_makes_the_next_version(check: Path) -> None:
    answer = run("calibrate", check, "--false-reject", "0.5", "--min-length", "4px", "--json")
    assert answer.code == 0, answer.err
    assert set(answer.json) == set(calibrate.KEYS)
    assert (answer.json["version"], answer.json["parent"]) == (2, 1)
    assert answer.json["zones"]["min_length_px"] == 4
    people = run(
        "calibrate", check, "--false-reject", "0.5", "--min-area", "2mm2", "--mm-per-px", "0.5"
    )
    assert people.code == 0
    assert "version 3" in people.out
    assert json.loads((check / "card.json").read_text())["zones"]["min_area_px"] == 8


def test_calibrate_refuses_and_says_why(check: Path, parts: Path) -> None:
    mixed = run("calibrate", check, "--false-reject", "0.5", "--cost-escape", "3")
    assert mixed.code == 2
    assert "by promise (false_reject) or by cost, not by both" in mixed.err
    unit = run("calibrate", check, "--min-width", "0.4mm")
    assert unit.code == 2
    assert "--min-width 0.4mm needs the size of a pixel" in unit.err
    leaked = run("calibrate", check, f"{parts}/train/good")
    assert leaked.code == 3
    assert "since the check was fitted on them" in leaked.err
    assert json.loads((check / "card.json").read_text())["version"]["number"] == 1


def test_evaluate(check: Path, parts: Path, tmp_path: Path) -> None:
    page = tmp_path / "measured.html"
    answer = run("evaluate", check, parts, "--json", "--report", page)
    assert answer.code == 0, answer.err
    assert set(answer.json) == set(evaluate.KEYS)
    assert answer.json["images"] == {"good": 12, "defective": 12}
    by_type = {row["name"]: row["auroc"] for row in answer.json["types"]}
    assert by_type["stain"] > 0.9
    assert by_type["dent"] > 0.7
    text = page.read_text(encoding="utf-8")
    assert "image AUROC" in text
    assert "24 captures" in text
    people = run("evaluate", check, parts)
    for word in ("patchcore@1 on 12 good and 12 defective parts", "AUPRO", "scratch", "stain"):
        assert word in people.out


def test_learn_more_forget_and_roll_back(check: Path, parts: Path, tmp_path: Path) -> None:
    more = synth.write_set(
        tmp_path / "more", ["metal"], synth.Counts(train=2, good=0, bad=0), seed=9, size=(96, 96)
    )
    added = run("learn", check, more, "--json")
    assert added.code == 0, added.err
    assert set(added.json) == set(learn.KEYS)
    assert [added.json[name] for name in ("version", "parent", "added")] == [2, 1, 2]
    again = run("learn", check, more, "--json")
    assert (again.json["added"], again.json["known"], again.json["version"]) == (0, 2, 2)
    listed = run("learn", check, "--list", "--json").json["images"]
    new = [image for image in listed if image["source"].startswith(str(more))]
    assert len(new) == 2
    forgot = run("learn", check, "--forget", new[0]["id"], "--json")
    assert (forgot.json["forgotten"], forgot.json["version"]) == (1, 3)
    back = run("learn", check, "--rollback", "1")
    assert back.code == 0
    assert "version 4" in back.out
    history = run("learn", check)
    assert "rolled back to 1" in history.out
    assert run("learn", check, "--json").json["versions"][-1]["number"] == 4


def test_learn_takes_one_change_at_a_time(check: Path, parts: Path) -> None:
    answer = run("learn", check, parts, "--rollback", "0")
    assert answer.code == 2
    assert "one change at a time" in answer.err
    nothing = run("learn", check, "--rollback", "0")
    assert nothing.code == 3
    assert "keeps no version before it" in nothing.err


def test_defects_that_must_be_caught(check: Path, parts: Path) -> None:
    answer = run("learn", check, "--regression", f"{parts}/test/dent", "--json")
    assert answer.code in (0, 1), answer.err
    assert answer.json["added"] + len(answer.json["missed"]) == 4
    assert answer.json["added"] > 0


def test_export_a_smaller_copy(check: Path, parts: Path, tmp_path: Path) -> None:
    line = tmp_path / "line"
    answer = run("export", check, line, "--no-weights", "--data", parts, "--json")
    assert answer.code == 0, answer.err
    assert set(answer.json) == set(export.KEYS)
    assert not (line / "weights.safetensors").exists()
    assert answer.json["bytes"] < sum(path.stat().st_size for path in check.iterdir())
    assert "change" in answer.json["proof"]
    before = run("inspect", check, f"{parts}/test/dent", "--json").json["inspections"]
    after = run("inspect", line, f"{parts}/test/dent", "--json").json["inspections"]
    assert [i["verdict"] for i in before] == [i["verdict"] for i in after]
    assert "differences" in export.KEYS["proof"]
    refused = run("learn", line, parts)
    assert refused.code in (2, 3)


def test_a_fit_without_torch_names_the_install(
    parts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from triscope.kernel import catalogue

    def absent(name: str) -> type:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(catalogue, "settings_class", absent)
    answer = run("fit", "patchcore", parts)
    assert answer.code == 3
    assert 'Install it with: pip install "triscope[train]"' in answer.err
