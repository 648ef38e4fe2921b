"""Files kept while a fit runs: opened once, within the budget, forgotten afterwards."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from triscope.errors import UnreadableImage
from triscope.kernel.data import kept
from triscope.kernel.data.kept import files_kept
from triscope.kernel.data.source import read_bytes


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_a_file_is_opened_once_for_its_first_bytes_and_for_all(
    tmp_path: Path, opened: Counter[str]
) -> None:
    path = put(tmp_path, "a.png", bytes(range(200)))
    with files_kept(1000):
        assert read_bytes(path, 10) == bytes(range(10))
        assert read_bytes(path) == bytes(range(200)) and read_bytes(str(path), 300)[-1] == 199
    assert opened == {"a.png": 1}
    path.write_bytes(b"new")
    assert read_bytes(path) == b"new" and opened == {"a.png": 2}


def test_what_exceeds_the_budget_is_read_as_it_is_needed(
    tmp_path: Path, opened: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = put(tmp_path, "s", b"s" * 60), put(tmp_path, "l", b"l" * 90)
    with files_kept(100):
        for _ in range(2):
            assert read_bytes(large, 5) == b"lllll"
            assert read_bytes(small) == b"s" * 60 and read_bytes(large) == b"l" * 90
    assert opened == {"l": 1, "s": 2}  # the first one stays
    opened.clear()
    monkeypatch.setattr(kept, "LARGEST", 80)
    with files_kept(1000):
        for _ in range(2):
            assert read_bytes(small) == b"s" * 60 and read_bytes(large) == b"l" * 90
    assert opened == {"s": 1, "l": 2}
    opened.clear()
    with files_kept(0):
        assert [read_bytes(small, 3) for _ in range(2)] == [b"sss"] * 2
    assert opened == {"s": 2}


def test_what_cannot_be_read_is_told_as_before(tmp_path: Path) -> None:
    with files_kept(100), pytest.raises(UnreadableImage, match=r"there is no such file\.$"):
        read_bytes(tmp_path / "missing.png")
    assert kept.active() is None
