"""The demo, with few parts: everything is written, the five figures are there and plausible."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import run

from triscope.cli import demo


def test_a_small_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "GOOD", 3)
    monkeypatch.setattr(demo, "BAD", 2)
    place = tmp_path / "demo"
    answer = run("demo", place, "--parts", "10", "--json")
    assert answer.code == 0, answer.err
    assert set(answer.json) == set(demo.KEYS)
    figures = answer.json["figures"]
    assert set(demo.WORDS) < set(figures)
    assert (figures["defective"], figures["good"]) == (10, 6)
    assert 0.7 < figures["image_auroc"] <= 1
    assert 0.5 < figures["aupro"] <= 1
    assert figures["milliseconds"] > 0
    assert set(answer.json["seconds"]) == {"paint", "fit", "inspect", "evaluate", "report", "all"}
    text = (place / "report.html").read_text(encoding="utf-8")
    assert "16 captures" in text
    assert "image AUROC" in text
    assert (place / "check" / "card.json").is_file()
    for step in ("painted", "fitted patchcore", "inspected 16 parts", "wrote"):
        assert step in answer.err


def test_the_demo_tells_people_the_place_of_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = {"caught": 9, "defective": 10, "rejected": 0, "good": 6}
    figures |= {"image_auroc": 0.98765, "aupro": 0.9, "milliseconds": 7.25}
    page = tmp_path / "report.html"
    demo.show({"figures": figures, "promise": "At most 5 % of good parts fail.", "report": page})
    out = capsys.readouterr().out
    for word in ("9 of 10", "0 of 6", "0.988", "0.900", "7.2 ms", page.as_uri(), "At most 5 %"):
        assert word in out


def test_without_torch_the_demo_names_the_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setattr(demo, "_paint", lambda *_: None)
    monkeypatch.setitem(sys.modules, "torch", None)
    answer = run("demo", tmp_path / "demo")
    assert answer.code == 3
    assert 'pip install "triscope[train]"' in answer.err
