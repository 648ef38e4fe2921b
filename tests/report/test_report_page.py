"""The page: one file, nothing from outside, numbers that can be read without JavaScript."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from report_runs import CARD, inspection, sample, small_report, written

from triscope.kernel.report import InspectionReport, Page, render, section, write_page
from triscope.kernel.results import Finding, Skipped


class Tags(HTMLParser):
    """Every element with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def tags(text: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(text)
    return parser.found


def data_of(text: str, name: str) -> object:
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text, re.S)
    assert found is not None
    return json.loads(found[1])


def test_nothing_comes_from_outside(tmp_path: Path) -> None:
    text = written(tmp_path).read_text(encoding="utf-8")
    for tag, attributes in tags(text):
        for name in ("src", "href", "action", "data", "poster"):
            value = attributes.get(name) or ""
            assert value == "" or value.startswith(("#", "data:")), (tag, name, value)
        assert tag not in ("link", "iframe", "object", "embed", "base")
    assert "default-src 'none'" in text
    assert "@import" not in text
    assert not re.search(r"url\((?!data:)", text)
    assert "http://www.w3.org/2000/svg" in text  # the only address, a name
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text)


def test_numbers_stand_in_the_page_itself(tmp_path: Path) -> None:
    text = re.sub(
        r"<script.*?</script>", "", written(tmp_path).read_text(encoding="utf-8"), flags=re.S
    )
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))
    assert "4 pass 50.0 %" in words
    assert "1 review 12.5 %" in words
    assert "3 fail 37.5 %" in words
    assert "1 not readable" in words
    assert "1 of 3 defective parts passed" in words
    assert "1 of 5 good parts failed, 1 need a look" in words
    assert "At most 1 % of good parts fail." in words
    assert "broken.png broken.png ends after 12 bytes." in words
    assert "scratch 3 1 0 2 4 66.7 %" in words  # by type: parts, pass, review, fail, median, right
    assert "model the exported graph 10.00 10.00 0.08" in words
    assert "a &lt; b" in text


def test_scripts_get_every_score_and_only_some_pictures(tmp_path: Path) -> None:
    report = InspectionReport(CARD, most=20)
    for i in range(1500):
        report.add(inspection(i / 1000, f"{i:04d}.png"), sample(f"{i:04d}.png", None))
    text = report.write(tmp_path / "many.html").read_text(encoding="utf-8")
    shared, gallery = data_of(text, "shared"), data_of(text, "gallery-data")
    assert len(shared["rows"]["scores"]) == 1500
    assert shared["zones"] == {"review_above": 2.0, "fail_above": 3.0}
    assert len(gallery["items"]) == 20
    assert [item["name"] for item in gallery["items"][:3]] == ["1499.png", "1498.png", "1497.png"]
    assert len(text) < 250_000
    assert "20 of 1500 captures have a picture" in re.sub(r"\s+", " ", text)


def test_a_name_cannot_leave_its_place(tmp_path: Path) -> None:
    """Names, labels and messages are data: they end no script and start no element."""
    evil = "</script><img src=x onerror=alert(1)>"
    report = InspectionReport(CARD, evil)
    report.add(inspection(4.0, evil), sample(evil, evil))
    report.add(Skipped(evil, evil))
    text = report.write(tmp_path / "evil.html", evil).read_text(encoding="utf-8")
    assert [a for tag, a in tags(text) if tag == "img"] == []
    assert data_of(text, "gallery-data")["items"][0]["name"] == evil


def test_scores_that_are_no_numbers_are_kept(tmp_path: Path) -> None:
    report = InspectionReport(CARD)
    report.add(inspection(float("nan"), "nan.png"), sample("nan.png", None))
    report.add(inspection(1.0, "ok.png"), sample("ok.png", None))
    text = report.write(tmp_path / "nan.html").read_text(encoding="utf-8")
    assert data_of(text, "shared")["rows"]["scores"] == [None, 1.0]
    assert "1 scores are not numbers" in text


def test_an_empty_run_is_a_page_too(tmp_path: Path) -> None:
    text = InspectionReport(CARD.with_(zones=None)).write(tmp_path / "e.html").read_text()
    assert "This check has no thresholds yet" in text
    assert "No pictures were kept" in text


def test_the_earlier_page_stays_until_the_new_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path)
    before = path.read_bytes()

    def full(self: Path, text: str, encoding: str) -> int:
        self.write_bytes(text.encode()[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        small_report().write(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_other_parts_can_be_added(tmp_path: Path) -> None:
    more = section("figures", "Mine", lines=[], note="a <note>", with_interval=False)
    report = small_report()
    report.more.append(more)
    text = report.write(tmp_path / "more.html").read_text(encoding="utf-8")
    assert 'id="figures-title">Mine<' in text
    assert "a &lt;note&gt;" in text
    alone = write_page(tmp_path / "alone.html", Page("One part"), [more])
    assert "histogram" not in alone.read_text(encoding="utf-8")
    assert render(Page("One part"), [more]) == alone.read_text(encoding="utf-8")


def test_the_report_needs_no_torch() -> None:
    code = "import sys, triscope.kernel.report; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    found = Finding("dent", 4.0, box=tuple(np.array([1, 2, 9, 9])), measures={"area_px": np.nan})
    report = InspectionReport(CARD)
    report.add(replace(inspection(4.0, "a.png"), findings=(found,)), sample("a.png", None))
    text = report.write(tmp_path / "numpy.html").read_text(encoding="utf-8")
    stored = data_of(text, "gallery-data")["items"][0]["findings"][0]
    assert stored["box"] == [1, 2, 9, 9]
    assert stored["measures"] == {"area_px": None}
