"""Videos in the layouts of known data sets, and lists that are wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from triscope.errors import BadLabels, BadSettings, EmptyData
from triscope.kernel.data.video import (
    open_videos,
    without,
)


def touched(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def told(source: Any) -> list[tuple[str, str | None, str | None, str | None]]:
    return [(Path(s.source).name, s.label, s.split, s.group) for s in open_videos(source)]


def test_class_folders_and_their_splits(tmp_path: Path) -> None:
    touched(
        tmp_path, "train/fight/a2.mp4", "train/fight/a10.mp4", "train/calm/b.avi", "test/calm/c.avi"
    )
    data = open_videos(tmp_path)
    assert data.classes == ("calm", "fight") and data.layout == "class folders"
    assert told(tmp_path) == [
        ("c.avi", "calm", "test", None),
        ("b.avi", "calm", "train", None),
        ("a2.mp4", "fight", "train", None),
        ("a10.mp4", "fight", "train", None),
    ]


def test_file_names_that_tell_action_and_person(tmp_path: Path) -> None:
    touched(tmp_path, "PS7A1P1T1.avi", "PS7A2P3T1.avi")
    assert told(tmp_path) == [("PS7A1P1T1.avi", "1", None, "1"), ("PS7A2P3T1.avi", "2", None, "3")]
    kept, held = without(open_videos(tmp_path), "3")
    assert [s.group for s in kept] == ["1"] and [s.group for s in held] == ["3"]
    with pytest.raises(EmptyData, match=r"no group '9' to hold out\. There are: 1, 3"):
        without(open_videos(tmp_path), "9")


def test_the_lists_of_known_data_sets(tmp_path: Path) -> None:
    ucf = tmp_path / "ucf"
    touched(ucf, "videos/Archery/v_Archery_g01_c01.avi", "videos/Archery/v_Archery_g09_c01.avi")
    (ucf / "trainlist01.txt").write_text("Archery/v_Archery_g09_c01.avi 1\n")
    (ucf / "testlist01.txt").write_text("Archery/v_Archery_g01_c01.avi\n")
    assert told(ucf) == [
        ("v_Archery_g01_c01.avi", "Archery", "test", "Archery/01"),
        ("v_Archery_g09_c01.avi", "Archery", "train", "Archery/09"),
    ]
    hmdb = tmp_path / "hmdb"
    touched(hmdb, "run/a.avi", "run/b.avi", "run/c.avi")
    (hmdb / "run_test_split1.txt").write_text("a.avi 1\nb.avi 2\nc.avi 0\n")
    assert told(hmdb) == [("a.avi", "run", "train", None), ("b.avi", "run", "test", None)]
    kinetics = tmp_path / "kinetics"
    touched(kinetics, "x.mp4", "y.mp4")
    (kinetics / "train.csv").write_text("path,label\nx.mp4,12\n")
    (kinetics / "val.csv").write_text("y.mp4,3\n")
    assert told(kinetics) == [("x.mp4", "12", "train", None), ("y.mp4", "3", "calibrate", None)]
    something = tmp_path / "something"
    touched(something, "7.webm")
    (something / "list.json").write_text(
        json.dumps([{"id": "7", "template": "Moving [something]"}])
    )
    assert told(something / "list.json") == [("7.webm", "Moving something", None, None)]


def test_a_description_of_any_other_naming(tmp_path: Path) -> None:
    touched(tmp_path, "deep/day1_screw_anna.mp4", "deep/day2_glue_ben.mp4", "deep/notes.mp4")
    description = tmp_path / "videos.toml"
    description.write_text(
        "root = 'deep'\nnames = '_(?P<label>[a-z]+)_(?P<group>[a-z]+)$'\n"
        "[labels]\nscrew = 'drive'\n"
    )
    assert told(description) == [
        ("day1_screw_anna.mp4", "drive", None, "anna"),
        ("day2_glue_ben.mp4", "glue", None, "ben"),
    ]
    description.write_text("names = '(?P<who>x)'")
    with pytest.raises(BadSettings, match=r"has no group \(\?P<label>"):
        open_videos(description)


def test_wrong_lists_and_folders_say_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(EmptyData, match="does not exist"):
        open_videos(tmp_path / "nowhere")
    with pytest.raises(EmptyData, match="holds no video that is known"):
        open_videos(tmp_path)
    (tmp_path / "train.csv").write_text("lost.mp4,1\n")
    with pytest.raises(BadLabels, match=r"train\.csv line 1 names lost\.mp4, which is not in"):
        open_videos(tmp_path)
    (tmp_path / "train.csv").write_text("lost.mp4\n")
    with pytest.raises(BadLabels, match="line 1 has no label"):
        open_videos(tmp_path)
