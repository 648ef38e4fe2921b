"""The exported folder answers like the library, without torch, for every kind of prompt."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import jaxtyping
import numpy as np
import pytest
import torch

from triscope.cli import program
from triscope.cli._exits import run
from triscope.errors import CheckDamaged, CheckError, WeightsMismatch
from triscope.kernel.runtime.card import read_card
from triscope.segment import networks
from triscope.segment.models.sam import sam_nano
from triscope.segment.predictor import Predictor
from triscope.segment.runtime import RuntimePredictor

IMAGE = np.random.default_rng(0).integers(0, 255, (60, 90, 3), dtype=np.uint8)
PROMPTS: dict[str, dict[str, Any]] = {
    "point": {"points": [[50.0, 30]], "labels": [1]},
    "points": {"points": [[50.0, 30], [10, 12], [80, 50]], "labels": [1, 0, 1]},
    "box": {"box": [10, 5, 70, 50]},
    "box and point": {"box": [10, 5, 70, 50], "points": [[40.0, 30]], "labels": [0]},
    "mask": {"mask": np.linspace(-4, 4, 32 * 32).reshape(32, 32)},
    "mask and point": {
        "mask": np.linspace(-4, 4, 32 * 32).reshape(32, 32),
        "points": [[50.0, 30]],
        "labels": [1],
    },
}


@pytest.fixture(scope="module", autouse=True)
def _shapes_are_free() -> Iterator[None]:
    """The checks of shapes would fix them while a graph is traced."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module")
def library() -> Predictor:
    torch.manual_seed(0)
    predictor = Predictor(sam_nano(128).eval())
    predictor.set_image(IMAGE)
    return predictor


@pytest.fixture(scope="module")
def folder(library: Predictor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Written by the command, with a network of 128 px: a larger graph takes its time."""
    place = tmp_path_factory.mktemp("export") / "nano"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "load_network", lambda name, path: library.network)
        assert run(program(), ["segment", "export", "-o", str(place)]) == 0
    card = read_card(place)
    assert set(card.files) == {"encoder.onnx", "decoder.onnx"}
    assert card.settings["network"] == library.fingerprint
    return place


@pytest.fixture(scope="module", params=["onnxruntime", "openvino"])
def runtime(request: pytest.FixtureRequest, folder: Path) -> RuntimePredictor:
    if request.param == "openvino":
        pytest.importorskip("openvino")
    predictor = RuntimePredictor(folder, engine=request.param, threads=1)
    predictor.set_image(IMAGE)
    return predictor


def test_embeddings_agree_and_can_be_exchanged(
    library: Predictor, runtime: RuntimePredictor
) -> None:
    ours, theirs = library.embedding, runtime.embedding
    assert np.abs(ours.values - theirs.values).max() < 1e-4 * np.abs(ours.values).max()
    runtime.use(ours)  # the same network says so by its fingerprint
    runtime.use(theirs)


@pytest.mark.parametrize("multimask", [True, False])
@pytest.mark.parametrize("kind", PROMPTS)
def test_every_prompt(
    kind: str, multimask: bool, library: Predictor, runtime: RuntimePredictor
) -> None:
    ours = library.predict(**PROMPTS[kind], multimask=multimask)
    theirs = runtime.predict(**PROMPTS[kind], multimask=multimask)
    assert np.abs(ours.logits - theirs.logits).max() < 1e-4 * np.abs(ours.logits).max()
    assert np.abs(ours.iou - theirs.iou).max() < 1e-4
    assert (ours.masks == theirs.masks).mean() > 0.9995


def test_many_prompts_at_once_are_the_same(runtime: RuntimePredictor) -> None:
    boxes = [[5, 5, 40, 40], [20, 10, 80, 55], [0, 0, 90, 60]]
    together = list(runtime.predict_many(boxes=boxes, at_once=3))
    alone = [runtime.predict(box=box) for box in boxes]
    for a, b in zip(together, alone, strict=True):
        assert np.abs(a.logits - b.logits).max() < 1e-4 * np.abs(b.logits).max()


def test_the_drawn_masks_are_those_of_the_predictor(folder: Path, library: Predictor) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / "decoder.onnx"))
    coords = library.embedding.frame.points_in([[[50.0, 30], [0, 0]]]).astype(np.float32)
    masks, _, _ = session.run(
        None,
        {
            "image_embeddings": library.embedding.values,
            "point_coords": coords,
            "point_labels": np.array([[1, -1]], np.float32),
            "mask_input": np.zeros((1, 1, 32, 32), np.float32),
            "has_mask_input": np.zeros(1, np.float32),
            "orig_im_size": np.array(IMAGE.shape[:2], np.float32),
        },
    )
    assert masks.shape == (1, 4, 60, 90)
    ours = library.predict(points=[[50.0, 30]], labels=[1])
    assert ((masks[0, 1:] > 0) == ours.masks).mean() > 0.999


def test_no_torch_is_loaded(folder: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from triscope.segment.runtime import RuntimePredictor\n"
        f"p = RuntimePredictor({str(folder)!r}, threads=1)\n"
        "p.set_image(np.zeros((20, 30, 3), np.uint8))\n"
        "assert p.predict(box=[2, 2, 9, 9]).masks.shape == (3, 20, 30)\n"
        "assert 'torch' not in sys.modules and 'onnx' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- what cannot be used


def test_another_networks_embedding_is_refused(library: Predictor, folder: Path) -> None:
    torch.manual_seed(1)
    other = Predictor(sam_nano(128).eval()).embed(IMAGE)
    with pytest.raises(WeightsMismatch, match=r"was made by network .*: embed the image again"):
        RuntimePredictor(folder, threads=1).use(other)


def test_a_folder_that_is_no_export(tmp_path: Path) -> None:
    with pytest.raises(CheckError, match=r"holds no card\.json"):
        RuntimePredictor(tmp_path)


def test_a_damaged_graph_is_named(folder: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    with (copy / "decoder.onnx").open("ab") as file:
        file.write(b"more")
    with pytest.raises(CheckDamaged, match=r"decoder\.onnx differs from the hash"):
        RuntimePredictor(copy)


def test_an_unknown_engine_is_named(folder: Path) -> None:
    with pytest.raises(CheckError, match=r"no engine 'tensorrt': expected onnxruntime or openvino"):
        RuntimePredictor(folder, engine="tensorrt")


def test_the_command_reads_the_folder(
    library: Predictor,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(networks, "load_network", lambda name, path: library.network)
    cv2.imwrite(str(tmp_path / "image.png"), IMAGE)
    words = ["segment", "predict", str(tmp_path / "image.png"), "--box", "10,5,70,50", "--json"]
    found = []
    for way in ([], ["--runtime", str(folder)]):
        assert run(program(), [*words, *way]) == 0
        found.append(json.loads(capsys.readouterr().out)["masks"])
    for one, other in zip(*found, strict=True):
        assert one["predicted_iou"] == pytest.approx(other["predicted_iou"], abs=1e-4)
        assert one["area_px"] == pytest.approx(other["area_px"], abs=20)
