"""`triscope segment`: what each command answers, writes and refuses."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from cli_checks import bad_picture, good_picture, tiny_check

from triscope.cli import program
from triscope.cli._exits import run
from triscope.segment.formats import read
from triscope.segment.models.sam import sam_nano
from triscope.segment.networks import save_weights
from triscope.segment.synth import scene


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "nano.safetensors"
    save_weights(sam_nano(), path)
    return str(path)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes with the mask of their first object beside them."""
    folder = tmp_path_factory.mktemp("data") / "parts"
    folder.mkdir()
    for seed in (1, 2):
        made = scene(seed, (96, 128))
        cv2.imwrite(str(folder / f"{seed}.jpg"), made.image[:, :, ::-1])
        mask = made.mask(len(made.groups) - 1)
        cv2.imwrite(str(folder / f"{seed}_mask.png"), mask.astype(np.uint8) * 255)
    return folder


def answer(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> Any:
    assert run(program(), ["segment", *map(str, words), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_a_click_becomes_masks(
    data: Path, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, drawn = tmp_path / "mask.png", tmp_path / "seen.png"
    told = answer(
        capsys, "predict", data / "1.jpg", "--point", "40,50", "--point", "90,20,0",
        "--weights", weights, "-o", out, "--overlay", drawn,
    )  # fmt: skip
    assert len(told["masks"]) == 3
    scores = [mask["predicted_iou"] for mask in told["masks"]]
    assert scores == sorted(scores, reverse=True)
    mask = cv2.imread(str(out), cv2.IMREAD_GRAYSCALE)
    assert mask.shape == (96, 128) and (mask > 0).sum() == told["masks"][0]["area_px"]
    assert cv2.imread(str(drawn)).shape == (96, 128, 3)


def test_a_mask_is_refined(data: Path, weights: str, capsys: pytest.CaptureFixture[str]) -> None:
    rough = data / "1_mask.png"
    told = answer(
        capsys, "predict", data / "1.jpg", "--mask", rough, "--single", "--weights", weights
    )
    assert len(told["masks"]) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "no prompt: give points with labels, a box, or a mask"),
        (("--point", "400,50"), "lies outside the image of 128x96"),
        (("--point", "a,b"), "a point is 2 or 3 numbers with commas between, got 'a,b'"),
        (("--box", "50,10,20,40"), "is reversed or empty: expected x0 < x1 and y0 < y1"),
    ],
)
def test_prompts_that_cannot_be_meant(
    words: tuple[str, ...], message: str, data: Path, weights: str, capsys: Any
) -> None:
    told = answer(capsys, "predict", data / "1.jpg", "--weights", weights, *words, code=2)
    assert message in told["message"]


def test_everything_of_a_folder(
    data: Path, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "broken.jpg").write_bytes(b"\xff\xd8 no image")
    words = ("--points-per-side", 2, "--pred-iou-thresh", 0, "--stability-score-thresh", 0)
    told = answer(
        capsys, "everything", data / "1.jpg", data / "broken.jpg", "--weights", weights, *words,
        "-o", tmp_path / "masks", "--overlays", tmp_path / "seen", code=1,
    )  # fmt: skip
    (data / "broken.jpg").unlink()
    assert [Path(one["image"]).name for one in told["skipped"]] == ["broken.jpg"]
    (record,) = read("sa1b", tmp_path / "masks")
    assert record.hw == (96, 128) and len(record.masks) == told["images"][0]["masks"] > 0
    assert "predicted_iou" in record.masks[0].extra
    assert (
        answer(
            capsys,
            "convert",
            tmp_path / "masks",
            tmp_path / "coco",
            "--from",
            "sa1b",
            "--to",
            "coco",
        )["images"]
        == 1
    )


def test_nothing_found_is_explained(
    data: Path, weights: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["segment", "everything", str(data / "1.jpg"), "--weights", weights, "--json"]
    assert run(program(), [*words, "--points-per-side", "1", "--pred-iou-thresh", "1"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["images"][0]["masks"] == 0
    assert "no mask passed --pred-iou-thresh 1 and --stability-score-thresh 0.7:" in told.err


def test_prompts_and_clicks_are_measured(
    data: Path, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = answer(
        capsys, "evaluate", "prompts", data, "--weights", weights, "--baselines",
        "--gallery", tmp_path / "worst.png",
    )  # fmt: skip
    assert told["masks"] == 2 and set(told["mean_iou"]) == {
        "box", "point", "best of 3", "GrabCut, box", "flood fill, point"
    }  # fmt: skip
    assert (tmp_path / "worst.png").is_file()
    told = answer(capsys, "evaluate", "clicks", data, "--weights", weights, "--clicks", 2)
    assert len(told["mean_iou"]) == 2 and told["masks"] == 2


def test_groups_come_from_a_table(
    data: Path, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "groups.csv"
    table.write_text("name,group\n1.jpg,left\n2.jpg,right\n")
    told = answer(capsys, "evaluate", "prompts", data, "--weights", weights, "--groups", table)
    assert set(told["groups"]) == {"left", "right"}


def test_instances_and_proposals(
    data: Path, weights: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = answer(capsys, "evaluate", "instances", data, "--weights", weights)
    assert told["precision"]["masks"] == 2
    told = answer(capsys, "evaluate", "proposals", data, "--weights", weights, "--points", 2)
    assert told["recall"]["images"] == 2


def test_agreement_of_two_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, wide in (("a", 20), ("b", 18)):
        mask = np.zeros((40, 40), np.uint8)
        mask[10:30, 10 : 10 + wide] = 255
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "1.png"), mask)
    cv2.imwrite(str(tmp_path / "a" / "2.png"), mask)
    told = answer(capsys, "evaluate", "agreement", tmp_path / "a", tmp_path / "b")
    assert told["mean_iou"] == pytest.approx(0.9) and told["lost"] == ["2.png"]


def test_own_masks_are_learned(
    data: Path, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = answer(
        capsys, "train", data, "-o", tmp_path, "--weights", weights, "--steps", 1, "--batch", 1,
        "--masks", 1, "--clicks", 0, "--rounds-without", 0,
    )  # fmt: skip
    assert told["steps"] == 1 and Path(told["weights"]).stat().st_size < 4_000_000


def test_people_get_tables(data: Path, weights: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["segment", "predict", str(data / "1.jpg"), "--box", "10,10,60,60"]
    assert run(program(), [*words, "--weights", weights]) == 0
    assert "predicted IoU" in capsys.readouterr().out


def test_a_wrong_command_is_answered_with_the_closest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(program(), ["segment", "everythin"]) == 2
    assert "Did you mean 'everything'?" in capsys.readouterr().err
    assert run(program(), ["segment", "evaluate", "--help"]) == 0


def test_the_engine_from_the_command_line(
    data: Path, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "engine"
    told = answer(capsys, "engine", folder, "start", data, "--weights", weights)
    assert told["stage"] == "assisted" and told["waiting"] == 2
    assert answer(capsys, "engine", folder)["figures"]["assisted"]["masks"] == 0
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        taken = answer(capsys, "engine", folder, "serve", "--port", port, code=2)
    assert f"port {port} cannot be used" in taken["message"]
    refused = answer(capsys, "engine", folder, "advance", code=2)
    assert "finish at least one first" in refused["message"]


def test_a_datasheet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from triscope.kernel.geometry.rle import Rle
    from triscope.segment.formats import Mask, Record, writer

    with writer("sa1b", tmp_path / "masks") as out:
        out.add(Record("a.jpg", (8, 8), (Mask(Rle.encode(np.eye(8, dtype=bool))),)))
    page = tmp_path / "sheet.html"
    told = answer(capsys, "evaluate", "datasheet", tmp_path / "masks", "-o", page)
    assert told["sheet"]["masks"] == 1 and "<svg" in page.read_text()


def test_hot_regions_become_masks(
    weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check = tiny_check(tmp_path / "check")
    (tmp_path / "photos").mkdir()
    for name, picture in (("good", good_picture()), ("bad", bad_picture())):
        cv2.imwrite(str(tmp_path / "photos" / f"{name}.png"), picture)
    (tmp_path / "photos" / "torn.png").write_bytes(b"\x89PNG")
    words = ("refine", check, tmp_path / "photos", "--weights", weights)
    told = answer(capsys, *words, "-o", tmp_path / "masks", "--overlays", tmp_path / "seen", code=1)
    found = {Path(row["image"]).stem: row for row in told["images"]}
    assert {name: row["masks"] for name, row in found.items()} == {"bad": 1, "good": 0}
    assert [Path(one["image"]).name for one in told["skipped"]] == ["torn.png"]
    written = {path.stem.split("_")[-1]: path for path in (tmp_path / "masks").iterdir()}
    mask = cv2.imread(str(written["bad"]), cv2.IMREAD_UNCHANGED)
    assert mask.shape == bad_picture().shape[:2]
    assert (mask > 0).sum() == found["bad"]["area_px"]
    assert not cv2.imread(str(written["good"]), cv2.IMREAD_UNCHANGED).any()
    assert len(list((tmp_path / "seen").iterdir())) == 2
    (tmp_path / "photos" / "torn.png").unlink()
    cold = answer(capsys, *words, "--above", 1e6)
    assert [row["masks"] for row in cold["images"]] == [0, 0]


def test_a_small_encoder_is_distilled(
    data: Path, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = answer(
        capsys, "distill", data / "1.jpg", data / "2.jpg", "-o", tmp_path, "--teacher", "sam_nano",
        "--weights", weights, "--steps", 1, "--batch", 1, "--widths", "32,32,32",
    )  # fmt: skip
    assert told["steps"] == 1 and told["relative"] > 0
    assert Path(told["weights"]).is_file()
    refused = answer(
        capsys, "distill", data / "1.jpg", "-o", tmp_path, "--teacher", "sam_nano", "--weights",
        weights, "--widths", "32,32", code=2,
    )  # fmt: skip
    assert "widths is 3 numbers with commas between, got '32,32'" in refused["message"]


def test_edges_of_the_bsds_layout(
    data: Path, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    savemat = pytest.importorskip("scipy.io").savemat
    images, truth = tmp_path / "images" / "test", tmp_path / "groundTruth" / "test"
    images.mkdir(parents=True)
    truth.mkdir(parents=True)
    (images / "1.jpg").write_bytes((data / "1.jpg").read_bytes())
    people = np.empty((1, 2), object)
    for person in range(2):
        drawn = np.zeros((96, 128), np.uint8)
        drawn[30 + person, 20:100] = 1
        people[0, person] = np.array([[(drawn,)]], dtype=[("Boundaries", object)])
    savemat(str(truth / "1.mat"), {"groundTruth": people})
    words = ("evaluate", "edges", tmp_path, "--weights", weights, "--points", 2)
    told = answer(capsys, *words, "--maps", tmp_path / "maps")
    assert told["edges"]["images"] == 1 and 0 <= told["edges"]["AP"] <= 1
    assert told["edges"]["ODS"] == pytest.approx(told["edges"]["OIS"])  # with one image they agree
    assert cv2.imread(str(tmp_path / "maps" / "1.png"), 0).shape == (96, 128)
    (truth / "1.mat").write_bytes(b"not MATLAB")
    assert "groundTruth{k}.Boundaries" in answer(capsys, *words, code=3)["message"]
    refused = answer(capsys, *words, "--split", "val", code=3)
    assert "expected the BSDS layout" in refused["message"]


def test_refining_is_measured(
    data: Path, weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = answer(capsys, "evaluate", "refine", data, "--weights", weights)
    assert told["masks"] == 2 and set(told["mean_iou"]) == {"before", "refined", "GrabCut"}
    folder = tmp_path / "spots"
    folder.mkdir()
    truth = bad_picture()[:, :, 0] > 100
    cv2.imwrite(str(folder / "1.jpg"), bad_picture())
    cv2.imwrite(str(folder / "1_mask.png"), truth.astype(np.uint8) * 255)
    check = tiny_check(tmp_path / "check")
    words = ("evaluate", "refine", folder, "--weights", weights, "--check", check)
    told = answer(capsys, *words)
    assert told["masks"] == 1 and told["prompts"] == str(check)
    assert told["mean_iou"]["before"] > 0.9  # its heat is the brightness of the spot
    assert answer(capsys, *words, "--above", 1e6)["mean_iou"] == {"before": 0, "refined": 0}
