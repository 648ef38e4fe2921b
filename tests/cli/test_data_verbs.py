"""``data show | check | split | convert``: tables, JSON with the documented keys, exit codes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from cli_runs import run

from triscope.cli._data import check, convert, show, split
from triscope.kernel.data import open_data


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """Ten good images and two defects in the MVTec layout."""
    rng = np.random.default_rng(2)
    names = [f"train/good/P{i % 5}_{i}.png" for i in range(10)]
    names += ["test/good/0.png", "test/dent/0.png", "test/dent/1.png"]
    for name in names:
        write(tmp_path / "parts" / name, rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    for i in range(2):
        mask = np.zeros((12, 16), np.uint8)
        mask[2:6, 3 : 9 + i] = 255
        write(tmp_path / "parts" / f"ground_truth/dent/{i}_mask.png", mask)
    return tmp_path / "parts"


def write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())


def test_show_tells_what_was_recognised(parts: Path) -> None:
    answer = run("data", "show", parts)
    assert answer.code == 0
    assert "13 images, layout 'mvtec'" in answer.out
    assert "sizes       16 x 12 px" in answer.out
    found = run("data", "show", parts, "--json").json
    assert set(found) == set(show.KEYS)
    assert found["splits"] == {"test": {"dent": 2, "good": 1}, "train": {"good": 10}}
    assert found["sizes"] == [{"h": 12, "w": 16, "images": 13}]


def test_show_of_boxes_and_of_a_plain_folder(parts: Path, tmp_path: Path) -> None:
    run("data", "convert", parts, tmp_path / "boxes", "--to", "coco")
    answer = run("data", "show", tmp_path / "boxes")
    assert "class   boxes" in answer.out
    assert "masks       2" in answer.out
    write(parts / "train" / "good" / "large.png", np.zeros((40, 50, 3), np.uint8))
    plain = run("data", "show", parts / "train")
    assert "2 sizes from 16 x 12 to 50 x 40 px, most often 16 x 12 (10 images)" in plain.out
    named = run("data", "show", parts / "train" / "good")
    assert "a fit takes all of these images as good" in named.out


def test_show_leaves_with_1_when_an_image_cannot_be_read(parts: Path) -> None:
    (parts / "train/good/broken.png").write_text("x")
    answer = run("data", "show", parts)
    assert answer.code == 1
    assert "! images could not be read: 1 (train/good/broken.png (" in answer.out


def test_check_leaves_with_1_when_something_is_to_mend(parts: Path) -> None:
    answer = run("data", "check", parts)
    assert (answer.code, answer.out) == (
        0,
        "13 images looked at: 13 colour, 8 bit\nnothing to mend\n",
    )
    write(parts / "ground_truth/dent/0_mask.png", np.zeros((5, 5), np.uint8))
    answer = run("data", "check", parts, "--json")
    assert answer.code == 1
    assert set(answer.json) == set(check.KEYS)
    assert answer.json["problems"] == [
        "masks are of another size than their image: 1 (test/dent/0.png)"
    ]


def test_split_writes_a_file_that_is_data(parts: Path, tmp_path: Path) -> None:
    file = tmp_path / "split.jsonl"
    answer = run("data", "split", parts, "--calibrate", 0.2, "--by", r"P(\d)", "-o", file, "--json")
    assert set(answer.json) == set(split.KEYS)
    assert answer.json["splits"]["calibrate"] == {"good": 2}
    assert answer.json["groups"] == 5
    data = open_data(file)
    assert len(data) == 13
    groups = [{s.group for s in data.split(name)} for name in ("train", "calibrate")]
    assert not groups[0] & groups[1]
    table = run("data", "split", parts)
    assert "nothing was written: give --output FILE.jsonl" in table.out
    assert run("data", "split", parts, "-o", tmp_path / "x.txt").code == 2


@pytest.mark.parametrize("form", ["coco", "voc", "yolo", "mvtec"])
def test_convert_writes_what_is_recognised_again(parts: Path, tmp_path: Path, form: str) -> None:
    answer = run("data", "convert", parts, tmp_path / "out", "--to", form, "--json")
    assert answer.code == 0
    assert set(answer.json) == set(convert.KEYS)
    again = open_data(tmp_path / "out")
    assert (again.layout, len(again)) == (form, 13)
    twice = run("data", "convert", parts, tmp_path / "out", "--to", form)
    assert twice.code == 3
    assert "is there and not empty: give a new folder." in twice.err


def test_a_wrong_word_is_answered_with_the_closest() -> None:
    answer = run("data", "chek")
    assert answer.code == 2
    assert "there is no command 'data' 'chek'. Did you mean 'check'?" in answer.err


def test_no_data_is_told(tmp_path: Path) -> None:
    answer = run("data", "show", tmp_path)
    assert answer.code == 3
    assert "holds no image: no file" in answer.err


def test_help_lists_the_commands_with_their_first_lines() -> None:
    answer = run("data", "--help")
    for name in ("check", "convert", "show", "split"):
        assert f"\n  {name} " in answer.out
    assert "Tell what was recognised" in answer.out
