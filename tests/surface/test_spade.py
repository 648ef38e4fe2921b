"""SPADE and its gallery against NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from distilled import SIZE, TINY, answers, damaged, exported, textures

from triscope.errors import BadSettings, NotFitted
from triscope.surface.gallery import LEAST, Gallery
from triscope.surface.models.spade import Settings, Spade


def fitted(count: int = 10, **settings: Any) -> Spade:
    model = Spade(Settings(**{"size": SIZE, "nearest": 3, **settings}))
    images = textures(count)
    for start in range(0, count, 4):
        part = images[start : start + 4]
        model.watch(part, torch.arange(start, start + len(part)))
    model.settle()
    return model


def rows(model: Spade, images: torch.Tensor) -> np.ndarray:
    found = np.asarray(model.patches(images), dtype=np.float64)
    return found.reshape(*found.shape[:2], -1).transpose(0, 2, 1)


@pytest.mark.parametrize("settings", [{"keep": 1.0}, {"keep": 1.0, "score": "images", **TINY}])
def test_heat_and_score_are_the_papers(settings: dict[str, Any]) -> None:
    model = fitted(**settings)
    good, images = rows(model, textures(10)), damaged(textures(2, seed=5))
    odd = rows(model, images)
    graph = model.graph()
    graph.at_once = 2  # several blocks
    heat, scores = answers(graph, images)
    for b in range(2):
        apart = np.linalg.norm(good.mean(1) - odd[b].mean(0), axis=1)
        alike = np.argsort(apart)[:3]
        gallery = good[alike].reshape(-1, good.shape[2])
        least = np.array([np.linalg.norm(gallery - row, axis=1).min() for row in odd[b]])
        side = int(len(least) ** 0.5)
        large = cv2.resize(least.reshape(side, side), (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
        blurred = cv2.GaussianBlur(large, (33, 33), 4, borderType=cv2.BORDER_REPLICATE)
        assert np.allclose(heat[b], blurred, rtol=1e-2, atol=1e-2 * blurred.max())
        expected = apart[alike].mean() if "score" in settings else heat[b].max()
        assert scores[b] == pytest.approx(expected, rel=1e-3)


def test_a_share_of_the_patches_answers_almost_as_all_of_them() -> None:
    images = damaged(textures(4, seed=5))
    whole, part = (answers(fitted(keep=keep).graph(), images)[1] for keep in (1.0, 0.25))
    assert np.allclose(whole, part, rtol=0.1) and (part >= whole - 1e-3).all()


def looks(count: int, patches: int = 64, dims: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, patches, dims, generator=torch.Generator().manual_seed(seed))


def test_the_ceiling_halves_patches_first_and_images_then() -> None:
    ceiling = 2 * 10 * (2 * 64 * 4 + 4 * 4 + 200)  # ten looks of 64 patches
    gallery, given = Gallery(64, 4, ceiling), looks(60)
    gallery.add(given[:10], torch.arange(10))
    assert gallery.patches == 64
    before = gallery.looks[3].patches.clone()
    gallery.add(given[10:11], torch.tensor([10]))
    assert gallery.patches == 32 and torch.equal(gallery.looks[3].patches, before[:32])
    gallery.add(given[11:], torch.arange(11, 60))
    wholes, patches = gallery.tables()
    assert gallery.patches == LEAST and patches.shape[1] == LEAST
    assert 10 < len(wholes) < 60 and 2 * (wholes.nbytes + patches.nbytes) < ceiling


def test_forgetting_equals_never_having_seen_and_state_comes_back() -> None:
    one, other, third = (Gallery(8, 4, 10**6) for _ in range(3))
    given = looks(6)
    one.add(given, torch.arange(6))
    one.forget(torch.tensor([1, 4, 50]))
    left = torch.tensor([0, 2, 3, 5])
    other.add(given[left], left)
    third.restore(one.state())
    for gallery in (one, third):
        a, b = gallery.state(), other.state()
        assert all(torch.equal(a[key], b[key]) for key in a)


def test_learning_and_forgetting_go_on_after_restoring() -> None:
    odd = damaged(textures(1, seed=9))
    model = fitted(keep=0.5)
    before = answers(model.graph(), odd)[1]
    other = Spade(model.settings)
    other.restore(model.weights())
    assert np.array_equal(answers(other.graph(), odd)[1], before)
    other.watch(odd, torch.tensor([100]))
    assert answers(other.graph(), odd)[1] < 0.8 * before
    other.forget(torch.tensor([100]))
    assert np.array_equal(answers(other.graph(), odd)[1], before)


def test_onnx_answers_as_torch(tmp_path: Path) -> None:
    size = 75
    model = Spade(Settings(size=size, nearest=5))
    model.watch(textures(7, size=size), torch.arange(7))
    graph = model.graph()
    graph.at_once = 2
    session = exported(graph, textures(2, size=size), tmp_path / "model.onnx")
    for count in (1, 3):
        images = damaged(textures(count, seed=3, size=size))
        heat, scores = answers(graph, images)
        assert heat.shape == (count, size, size)
        found = session.run(None, {session.get_inputs()[0].name: images.numpy()})
        assert np.allclose(found[0], heat, atol=1e-4) and np.allclose(found[1], scores, atol=1e-4)


def test_messages() -> None:
    model = Spade(Settings(size=SIZE))
    for ask in (model.graph, model.settle):
        with pytest.raises(NotFitted, match=r"spade has (no gallery yet: call|watched no images)"):
            ask()
    with pytest.raises(BadSettings, match=r"one image with 64 patches of 4 numbers takes 0\.0 MB"):
        Gallery(64, 4, 100)
    with pytest.raises(BadSettings, match="nearest=0: expected 1 or more"):
        Settings(nearest=0)
