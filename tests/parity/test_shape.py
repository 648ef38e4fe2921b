"""R-MVSNet with its authors' weights against the stored answers of the published arithmetic."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import triscope
from outside import parity, real_data
from triscope.errors import WeightsMismatch

VIEWS = {
    "00020_uniform": (20, 19, 18, 17),
    "00058_uniform": (58, 56, 54, 53),
    "00105_inverse": (105, 103, 101, 99),
}
pytestmark = pytest.mark.real


@cache
def weights() -> dict[str, Any]:
    path = real_data("weights/mvs/RMVSNet-Pytorch") / "RMVSNet-pretrained.pth"
    return torch.load(path, map_location="cpu", weights_only=True)


def published_input(number: int) -> Any:
    """BGR, resized, per image and channel (x - mean) / (std + 1e-8), as the notes say."""
    image = cv2.imread(str(real_data("hololens_rgbd") / "images" / f"{number:05d}.jpg"))
    image = cv2.resize(image, (544, 352), interpolation=cv2.INTER_AREA).astype(np.float32)
    image = (image - image.mean((0, 1))) / (image.std((0, 1)) + 1e-8)
    return torch.from_numpy(image.transpose(2, 0, 1).copy())


@pytest.mark.parametrize("name", sorted(VIEWS))
def test_depth_index_and_probability(name: str) -> None:
    with np.load(parity("shape") / f"rmvsnet_{name}.npz") as stored:
        answers = {key: stored[key] for key in stored.files}
    network = triscope.published("rmvsnet", weights())
    images = torch.stack([published_input(number) for number in VIEWS[name]])
    with torch.no_grad():
        index, probability = network(
            images, answers["K"], answers["cam_T_world"], answers["depths"]
        )
        features = network.features(images[:1])[0, ::4].numpy()
    assert (index.numpy() == answers["depth_index"]).mean() >= 0.999
    assert np.abs(probability.numpy() - answers["probability"]).max() <= 1e-3
    steps = np.spacing(np.abs(answers["features_ref_8ch"]))
    gap = np.abs(features - answers["features_ref_8ch"].astype(np.float32))
    assert (gap <= np.maximum(steps.astype(np.float32), 1e-4)).all()


def test_a_wrong_key_is_named() -> None:
    changed = dict(weights())
    changed["gru4.output_conv.bias"] = changed.pop("gru3.output_conv.bias")
    with pytest.raises(WeightsMismatch, match=r"missing: gru3\.output_conv\.bias"):
        triscope.published("rmvsnet", changed)
