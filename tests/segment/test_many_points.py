"""The re-arranged decoder of everything mode: exact, and in half precision nearly so."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from triscope.errors import UsageError
from triscope.segment.many_points import ManyPoints
from triscope.segment.models._mask_decoder import MaskDecoder
from triscope.segment.models._prompt_encoder import PromptEncoder
from triscope.segment.models._tiny_vit import Stage, TinyViT
from triscope.segment.models.sam import Sam, sam_nano
from triscope.segment.plain_points import PlainPoints, grid_decoder
from triscope.segment.predictor import Predictor

POINTS = np.random.default_rng(0).uniform(0, 128, (6, 2))


@pytest.fixture(scope="module")
def network() -> Sam:
    """Small, and without click maps, as the published ones."""
    torch.manual_seed(0)
    stages = (
        Stage(width=16, depth=1, stride=2),
        Stage(width=32, depth=1, heads=1, window=8, stride=2),
        Stage(width=64, depth=1, heads=2, window=8),
    )
    return Sam(
        image_encoder=TinyViT(stages=stages, out=64),
        prompt_encoder=PromptEncoder(width=64, image_size=128, grid=8),
        mask_decoder=MaskDecoder(width=64, heads=8, hidden=64),
    ).eval()


def masks(decoder: object, network: Sam) -> tuple[np.ndarray, np.ndarray]:
    pixels = np.random.default_rng(1).standard_normal((1, 3, 128, 128)).astype(np.float32)
    decoder.look(pixels)  # type: ignore[attr-defined]
    found = list(decoder.survivors(POINTS, 0.0))  # type: ignore[attr-defined]
    assert found[-1].done == len(POINTS)
    return np.concatenate([f.logits for f in found]), np.concatenate([f.iou for f in found])


def test_the_plain_and_the_re_arranged_decoder_agree(network: Sam) -> None:
    plain, plain_iou = masks(PlainPoints(Predictor(network)), network)
    fast, fast_iou = masks(ManyPoints(network), network)
    assert plain.shape == fast.shape == (18, 32, 32)
    assert np.abs(plain - fast).max() < 1e-5 * np.abs(plain).max()
    assert np.abs(plain_iou - fast_iou).max() < 1e-5


def test_half_precision_changes_little(network: Sam) -> None:
    exact, exact_iou = masks(ManyPoints(network), network)
    half, half_iou = masks(ManyPoints(network, half=True), network)
    assert half.dtype == np.float32
    assert np.abs(exact - half).max() < 0.05 * np.abs(exact).max()
    assert 0 < np.abs(exact_iou - half_iou).max() < 0.02


def test_each_network_gets_its_decoder(network: Sam) -> None:
    assert isinstance(grid_decoder(Predictor(network)), ManyPoints)
    nano = sam_nano(128)
    assert isinstance(grid_decoder(Predictor(nano)), PlainPoints)
    with pytest.raises(UsageError, match="prompts change what this network sees"):
        ManyPoints(nano)
    with pytest.raises(UsageError, match="no image yet: call look"):
        next(iter(ManyPoints(network).survivors(POINTS, 0.0)))
