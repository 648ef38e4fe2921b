"""The benchmarks' page: a script rewrites its own section and leaves the others alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def page(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import page

    yield page
    for name in [name for name in sys.modules if name.split(".")[0] == "benchmarks"]:
        monkeypatch.delitem(sys.modules, name)


def section(page, name, value, short_of=()):
    return page.Section(
        name,
        f"About {name}",
        "What was measured.",
        ("side", "CPU s"),
        [("ours", value), ("theirs", 9)],
        f"python -m benchmarks.bench_{name}",
        short_of,
    )


def test_sections_stand_in_order_and_are_replaced_in_place(page, tmp_path):
    target = tmp_path / "surface.md"
    page.write(section(page, "start", 1), target)
    page.write(section(page, "aupro", 2), target)
    page.write(section(page, "start", 3, ["Slower by 4."]), target)
    text = target.read_text()
    assert text.count("## About") == 2
    assert text.index("About aupro") < text.index("About start")
    assert "| ours | 3 |" in text and "| ours | 1 |" not in text and "| ours | 2 |" in text
    assert "Falls short:\n\n- Slower by 4." in text
    assert "Falls short:\n\n- Nothing." in text
    assert "Machine: " in text


def test_a_ragged_table_is_refused(page):
    wrong = page.Section("x", "t", "t", ("a", "b"), [(1, 2, 3)], "c")
    with pytest.raises(ValueError, match=r"2 columns in the header, 3 in \(1, 2, 3\)"):
        page.render(wrong)


def test_the_page_names_no_folder_of_this_machine(page):
    written = ROOT / "docs" / "benchmarks" / "surface.md"
    assert str(ROOT) not in written.read_text(encoding="utf-8")


def test_rows_that_are_not_measured_now_stay_with_their_machine(page, tmp_path, monkeypatch):
    from benchmarks import known_page

    monkeypatch.setattr(known_page, "ROWS", tmp_path / "rows.json")
    known_page.with_earlier(section(page, "start", 1))
    monkeypatch.setattr(known_page, "machine", lambda: "another one")
    only = page.Section("start", "", "", ("side", "CPU s"), [("ours", 2)], "")
    found = known_page.with_earlier(only)
    assert found.rows == [["ours", "2"], ["theirs", "9"]]
    assert len(found.notes) == 1 and found.notes[0].endswith(": theirs.")
    assert known_page.with_earlier(page.Section("new", "", "", ("",), [], "")).rows == []
