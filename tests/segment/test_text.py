"""Words to masks with a tiny random CLIP: crops, learning, words in place of pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from triscope.errors import UsageError, WeightsMissing
from triscope.kernel.train import Plan, train
from triscope.segment.models.sam import sam_nano
from triscope.segment.text import Clip, TextHead, TextPredictor, TextTask, crop_of, examples

pytest.importorskip("transformers")
from tiny_clip import tiny_clip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("clip"))


def test_embeddings_have_length_one(folder: Path) -> None:
    clip = Clip(folder)
    words = clip.words(["a bolt", "a red nut"])
    pictures = clip.pictures([np.zeros((20, 20, 3), np.uint8), np.full((9, 9, 3), 200, np.uint8)])
    for found in (words, pictures):
        assert found.shape == (2, 12)
        torch.testing.assert_close(found.norm(dim=1), torch.ones(2))


def test_a_crop_is_square_and_holds_the_object() -> None:
    image = np.full((40, 60, 3), 9, np.uint8)
    mask = np.zeros((40, 60), bool)
    mask[2:12, 30:58] = True
    image[mask] = 200
    crop = crop_of(image, mask, 1.0)
    assert crop.shape[0] == crop.shape[1] and (crop == 200).all(axis=2).sum() == mask.sum()
    assert set(np.unique(crop_of(image, mask, 2.0, alone=True))) == {0, 200}
    with pytest.raises(UsageError, match="an empty mask shows no object"):
        crop_of(image, np.zeros_like(mask))


def test_pictures_teach_and_words_ask(folder: Path) -> None:
    torch.manual_seed(0)
    network, clip = sam_nano(128), Clip(folder)
    head = TextHead(clip.width, network.prompt_encoder.width)
    image = np.zeros((128, 128, 3), np.uint8)
    masks = []
    for x, colour in ((10, (250, 30, 30)), (70, (30, 30, 250))):
        mask = np.zeros((128, 128), bool)
        mask[40:90, x : x + 45] = True
        image[mask] = colour
        masks.append(mask)
    predictor = TextPredictor(network, head, clip)
    embedding = predictor.embed(image)
    pixels = torch.from_numpy(embedding.frame.pixels(image))
    shares = torch.stack([torch.from_numpy(m[::4, ::4].astype(np.float32)) for m in masks])[None]
    seen = examples(clip, image, masks, np.random.default_rng(0))[None]
    batch = {"images": pixels, "masks": shares, "embeddings": seen}
    losses: list[float] = []
    plan = Plan(steps=15, batch=1, learning_rate=2e-3, optimizer="adamw", clip=1.0)
    train(
        TextTask(network, head), [batch], plan, progress=lambda _s, _n, p: losses.append(p["loss"])
    )
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])
    predictor = TextPredictor(network, head, clip)
    predictor.set_image(image)
    found = predictor.predict_text("red")
    assert found.masks.shape == (3, 128, 128) and found.logits.shape == (3, 32, 32)
    with_click = predictor.predict_text("red", [[30.0, 60]], [1], multimask=False)
    assert len(with_click) == 1
    with pytest.raises(UsageError, match="no words: say what to look for"):
        predictor.predict_text("  ")


def test_what_cannot_be_used(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"holds no CLIP: expected a folder with config\.json"):
        Clip(tmp_path)
    with pytest.raises(UsageError, match="embeddings of 99 numbers, the CLIP gives 12"):
        TextPredictor(sam_nano(128), TextHead(99, 128), Clip(folder))
