"""`triscope segment text` and `evaluate text` with a tiny random CLIP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip("transformers")
from tiny_clip import tiny_clip

from triscope.cli import program
from triscope.cli._exits import run
from triscope.segment.models.sam import sam_nano
from triscope.segment.networks import save_weights


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP, random weights, and two defect classes of one image each in the folder layout."""
    folder = tmp_path_factory.mktemp("words")
    tiny_clip(folder / "clip")
    torch.manual_seed(0)
    save_weights(sam_nano(), folder / "nano.safetensors")
    for number, (label, colour) in enumerate({"red_spot": 200, "dent": 60}.items()):
        image, mask = np.full((96, 128, 3), 120, np.uint8), np.zeros((96, 128), np.uint8)
        mask[20:70, 30 + 20 * number : 80] = 255
        image[mask > 0] = colour
        good = folder / "data" / "train" / "good"
        test, truth = folder / "data" / "test" / label, folder / "data" / "ground_truth" / label
        for one in (good, test, truth):
            one.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(good / f"{number}.png"), np.full_like(image, 120))
        cv2.imwrite(str(test / "0.png"), image)
        cv2.imwrite(str(truth / "0_mask.png"), mask)
    return folder


@pytest.fixture(scope="module")
def head(place: Path) -> Path:
    """A head after two steps, by the command."""
    words = ["text", "train", place / "data", "-o", place / "run", "--clip", place / "clip",
             "--weights", place / "nano.safetensors", "--steps", 2, "--batch", 1, "--masks", 1,
             "--fewest-px", 100, "--views", 1]  # fmt: skip
    assert run(program(), ["segment", *map(str, words), "--json"]) == 0
    return place / "run" / "head.safetensors"


def told(capsys: pytest.CaptureFixture[str], place: Path, *words: object, code: int = 0) -> Any:
    both = [*words, "--clip", place / "clip", "--weights", place / "nano.safetensors", "--json"]
    assert run(program(), ["segment", *map(str, both)]) == code
    return json.loads(capsys.readouterr().out)


def test_words_find_masks(
    place: Path, head: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    image, out = place / "data" / "test" / "dent" / "0.png", tmp_path / "mask.png"
    found = told(
        capsys, place, "text", "predict", image, "a dent", "--head", head, "-o", out,
        "--overlay", tmp_path / "seen.png", "--point", "60,40",
    )  # fmt: skip
    scores = [mask["predicted_iou"] for mask in found["masks"]]
    assert len(scores) == 3 and scores == sorted(scores, reverse=True)
    assert (cv2.imread(str(out), 0) > 0).sum() == found["masks"][0]["area_px"]
    assert (tmp_path / "seen.png").is_file()


def test_labels_are_asked_for(place: Path, head: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    found = told(capsys, place, "evaluate", "text", place / "data", "--head", head)
    assert found["masks"] == 2 and set(found["by_label"]) == {"dent", "red_spot"}
    ways = {"words", "words, best of 3", "words and a click", "the click alone"}
    assert set(found["mean_iou"]) == ways
    assert found["mean_iou"]["words, best of 3"] >= found["mean_iou"]["words"]
    same = told(
        capsys, place, "evaluate", "text", place / "data", "--head", head, "--words", "a dent"
    )
    assert set(same["by_label"]) == {"a dent"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--template", "a photo"), "--template needs {} where the label goes, got 'a photo'"),
        (("--runtime", "folder"), "words need the network itself: leave --runtime out"),
    ],
)
def test_what_cannot_be_asked(
    words: tuple[str, ...], message: str, place: Path, head: Path, capsys: Any
) -> None:
    capsys.readouterr()
    found = told(capsys, place, "evaluate", "text", place / "data", "--head", head, *words, code=2)
    assert message in found["message"]


def test_a_head_of_something_else(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = place / "data" / "test" / "dent" / "0.png"
    nano = place / "nano.safetensors"
    found = told(capsys, place, "text", "predict", image, "dent", "--head", nano, code=3)
    assert "is no head for words: expected 'layers.0.weight'" in found["message"]
    found = told(capsys, place, "text", "predict", image, "dent", "--head", "none", code=3)
    assert "train a head with `triscope segment text train`" in found["message"]
    words = ["segment", "text", "train", place / "data", "-o", place / "other", "--clip",
             place / "clip", "--weights", nano, "--json"]  # fmt: skip
    assert run(program(), list(map(str, words))) == 3
    assert "no mask of 10000 pixels or more" in capsys.readouterr().out
