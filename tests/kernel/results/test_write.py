"""Results as JSON lines, CSV and Parquet: each read back by an independent reader."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest

from triscope.errors import MissingExtra, TriscopeError, UsageError
from triscope.kernel.results import Finding, Inspection, Skipped, Verdict
from triscope.kernel.results.write import write, writer

SCRATCH = Finding("scratch", 0.7, box=(1, 2, 3, 4), measures={"area_px": 4.0, "length_mm": 1.5})
DENT = Finding("dent", 0.9, span_s=(0.5, 1.0))
FAILED = Inspection(
    "a,b.png", Verdict("fail", 'above "the" line'), 0.9, (SCRATCH, DENT), check="m@1",
    seconds={"read": 0.25, "model": 0.5},
)  # fmt: skip
PASSED = Inspection("ü.png", Verdict("pass", "within"), 0.1)
LOST = Skipped("c.png", "c.png is empty (0 bytes).")


def test_json_lines_hold_what_to_dict_says(tmp_path: Path) -> None:
    path = write([FAILED, PASSED, LOST], tmp_path / "deep" / "r.jsonl")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert rows == [FAILED.to_dict(), PASSED.to_dict(), LOST.to_dict()]


def test_csv_has_one_row_a_capture_with_its_strongest_finding(tmp_path: Path) -> None:
    path = write([FAILED, PASSED, LOST], tmp_path / "r.csv")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["source"] for row in rows] == ["a,b.png", "ü.png", "c.png"]
    assert rows[0]["reason"] == 'above "the" line' and rows[0]["label"] == "dent"
    assert (rows[0]["findings"], rows[0]["start_s"], rows[0]["x0"]) == ("2", "0.5", "")
    assert rows[0]["seconds"] == "0.75" and rows[1]["findings"] == "0"
    assert rows[2]["error"] == LOST.error and rows[2]["verdict"] == ""


def test_parquet_keeps_every_finding(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = write([FAILED, PASSED, LOST], tmp_path / "r.parquet")
    rows = parquet.read_table(path).to_pylist()
    assert [row["score"] for row in rows] == [0.9, 0.1, None]
    first = rows[0]["findings"][0]
    assert first["label"] == "scratch" and first["box"] == [1, 2, 3, 4]
    assert dict(first["measures"]) == dict(SCRATCH.measures)
    assert rows[1]["findings"] == [] and rows[2]["error"] == LOST.error


def test_what_was_written_stays_when_a_later_one_fails(tmp_path: Path) -> None:
    def broken():  # type: ignore[no-untyped-def]
        yield FAILED
        raise KeyboardInterrupt

    for ending in (".jsonl", ".csv", ".parquet"):
        with pytest.raises(KeyboardInterrupt):
            write(broken(), tmp_path / f"r{ending}")
    assert json.loads((tmp_path / "r.jsonl").read_text())["source"] == "a,b.png"
    assert len((tmp_path / "r.csv").read_text().splitlines()) == 2


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("/dev/full, a disk that is always full, is not here")
    (tmp_path / "r.jsonl").symlink_to("/dev/full")
    with pytest.raises(TriscopeError, match=r"r\.jsonl could not be written: No space left"):
        write([FAILED], tmp_path / "r.jsonl")


def test_other_endings_and_a_missing_package_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"written as \.jsonl, \.csv or \.parquet, not \.xlsx"):
        writer(tmp_path / "r.xlsx")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r'pip install "triscope\[parquet\]"'):
        writer(tmp_path / "r.parquet")
