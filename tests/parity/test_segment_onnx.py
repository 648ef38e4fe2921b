"""The exported prompt decoder, run by ONNX Runtime, against the published export's answers."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import onnxruntime
import pytest
import torch

from outside import SHARED
from triscope.segment.export.folder import write_decoder
from triscope.segment.export.graphs import Options

STORED = SHARED / "parity" / "segment"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not STORED.is_dir(), reason=f"no stored answers at {STORED}"),
]
RUNS = json.loads((STORED / "sam_onnx.json").read_text())["runs"] if STORED.is_dir() else []


@cache
def inputs() -> dict[str, Any]:
    return json.loads((STORED / "sam_onnx.json").read_text())["input"]["prompts"]


@cache
def stored() -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for part in "ab":
        with np.load(STORED / f"sam_onnx_{part}.npz") as file:
            answers |= {key: file[key] for key in file.files}
    return answers


def drawn(seed: int, shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.fixture(scope="module")
def decoders(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Sessions by options, exported when first asked for."""
    from test_segment import network

    folder = tmp_path_factory.mktemp("decoders")
    jaxtyping.config.update("jaxtyping_disable", True)  # it would fix shapes while tracing

    @cache
    def of(options: Options) -> onnxruntime.InferenceSession:
        path: Path = folder / f"{abs(hash(options))}.onnx"
        with torch.no_grad():
            write_decoder(network("sam_vit_b"), path, options)
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    yield of
    jaxtyping.config.update("jaxtyping_disable", False)


def options_of(run: dict[str, Any]) -> Options:
    given = run["SamOnnxModel"]
    return Options(
        given.get("return_single_mask", False),
        given.get("use_stability_score", False),
        given.get("return_extra_metrics", False),
    )


@pytest.mark.parametrize(
    "run",
    [
        run if options_of(run) == Options() else pytest.param(run, marks=pytest.mark.long)
        for run in RUNS
    ],
    ids=lambda run: f"run{run['run']}",
)
def test_published_runs(run: dict[str, Any], decoders: Any) -> None:
    prompt = inputs()[run["prompt"]]
    session = decoders(options_of(run))
    names = [output.name for output in session.get_outputs()]
    answers = session.run(
        None,
        {
            "image_embeddings": drawn(1, (1, 256, 64, 64)),
            "point_coords": np.array(prompt["point_coords"], np.float32),
            "point_labels": np.array(prompt["point_labels"], np.float32),
            "mask_input": drawn(2, (1, 1, 256, 256)),
            "has_mask_input": np.array([run["has_mask_input"]], np.float32),
            "orig_im_size": np.array(run["orig_im_size_HW"], np.float32),
        },
    )
    found, key, step = (
        dict(zip(names, answers, strict=True)),
        f"run{run['run']}__",
        run["masks_stride"],
    )
    if not run["SamOnnxModel"].get("return_extra_metrics"):
        assert names == ["masks", "iou_predictions", "low_res_masks"]
    else:
        published = ["masks", "iou_predictions", "stability_scores", "areas", "low_res_masks"]
        assert names == published
    assert list(found["masks"].shape[2:]) == run["orig_im_size_HW"]
    same(found["masks"][:, :, ::step, ::step], stored()[f"{key}masks"])
    same(found["low_res_masks"][:, :, ::8, ::8], stored()[f"{key}low_res_masks"])
    for name in ("iou_predictions", "stability_scores"):
        if f"{key}{name}" in stored():
            same(found[name], stored()[f"{key}{name}"])
    positive = (found["masks"] > 0).sum(axis=(2, 3))
    few = np.abs(positive - stored()[f"{key}masks_positive"])  # logits at the rounding limit of 0
    assert (few <= 1e-4 * positive + 1).all()
    if f"{key}areas" in stored():
        assert np.array_equal(found["areas"], positive)


def same(ours: Any, theirs: Any) -> None:
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()
