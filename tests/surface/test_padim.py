"""PaDiM and its Gaussians against NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from distilled import SIZE, TINY, answers, damaged, exported, textures

from triscope.errors import BadSettings, NotFitted, WeightsMismatch
from triscope.surface.gaussians import Gaussians
from triscope.surface.models.padim import Padim, Settings

ROOM = 10**8


def features(count: int, places: int = 5, dims: int = 3, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(places, dims, dims, generator=generator)
    drawn = torch.randn(count, places, 1, dims, generator=generator)
    return 4 + (drawn @ mixing).squeeze(2)


def filled(rows: torch.Tensor, batch: int = 100, room: int = ROOM) -> Gaussians:
    gaussians = Gaussians(*rows.shape[1:], room)
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        gaussians.add(part, torch.arange(start, start + len(part)))
    return gaussians


def mahalanobis(rows: np.ndarray, good: np.ndarray, ridge: float) -> np.ndarray:
    """(b, places) by the definition, the ridge relative to each channel's mean variance."""
    level = good.var(0, ddof=1).mean(0)
    level = level.clip(1e-6 * level.max())  # dead channels
    out = np.empty(rows.shape[:2])
    for p in range(good.shape[1]):
        cov = np.cov(good[:, p].T) + ridge * np.diag(level)
        away = rows[:, p] - good[:, p].mean(0)
        out[:, p] = np.sqrt(np.einsum("bd,de,be->b", away, np.linalg.inv(cov), away))
    return out


def lengths(gaussians: Gaussians, rows: torch.Tensor, ridge: float) -> np.ndarray:
    mean, scale, whiten = gaussians.whitening(ridge)
    away = ((rows - mean) * scale).transpose(0, 1)
    return np.asarray((away @ whiten.float()).norm(dim=2).T)


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_streaming_equals_all_at_once(batch: int) -> None:
    good, other = features(50).half().float(), features(9, seed=1) + 1
    found = lengths(filled(good, batch), other, 0.01)
    assert np.allclose(found, mahalanobis(other.numpy(), good.numpy(), 0.01), rtol=5e-3)


def test_more_channels_than_images_and_constant_ones() -> None:
    good = features(6, 4, 20)
    good[..., 3] = 7.0
    found = lengths(filled(good), features(5, 4, 20, seed=2), 0.01)
    assert np.isfinite(found).all() and (found > 0).all()


def test_forgetting_equals_never_having_seen() -> None:
    good, other = features(30), features(4, seed=3)
    gaussians = filled(good, 8)
    gaussians.forget(torch.tensor([4, 17, 99]))
    left = torch.tensor([i for i in range(30) if i not in (4, 17)])
    assert gaussians.count == 28
    expected = lengths(filled(good[left]), other, 0.01)
    assert np.allclose(lengths(gaussians, other, 0.01), expected, rtol=2e-3)


def test_the_ceiling_bounds_what_is_kept_to_be_forgotten() -> None:
    good = features(30)
    fixed = 8 * 5 * 3 * 5
    gaussians = filled(good, room=fixed + 10 * 2 * 5 * 3)
    assert len(gaussians.kept) == 10 and gaussians.count == 30
    gaussians.forget(torch.tensor([25]))
    assert gaussians.count == 29
    with pytest.raises(BadSettings, match=r"image 4 are no longer kept \(memory had room for 10"):
        gaussians.forget(torch.tensor([4, 26]))
    assert gaussians.count == 29
    with pytest.raises(BadSettings, match="Gaussians of 3 numbers at 5 places take 0 MB, more"):
        Gaussians(5, 3, 10)


def test_state_comes_back() -> None:
    one, other = filled(features(12)), Gaussians(5, 3, ROOM)
    other.restore(one.state())
    for gaussians in (one, other):
        gaussians.add(features(3, seed=5), torch.tensor([20, 21, 22]))
        gaussians.forget(torch.tensor([2, 21]))
    a, b = one.state(), other.state()
    assert all(torch.equal(a[key], b[key]) for key in a)


def fitted(count: int = 20, **settings: Any) -> Padim:
    model = Padim(Settings(**{"size": SIZE, **settings}))
    images = textures(count)
    for start in range(0, count, 6):
        part = images[start : start + 6]
        model.watch(part, torch.arange(start, start + len(part)))
    model.settle()
    return model


@pytest.mark.parametrize("settings", [{}, {**TINY, "channels": 16}])
def test_heat_and_score_are_the_papers(settings: dict[str, Any]) -> None:
    model = fitted(**settings)
    chosen = model.chosen.numpy()
    if "channels" in settings:
        assert len(set(chosen.tolist())) == 16 and chosen.max() < model.patches.dims

    def rows(images: torch.Tensor) -> np.ndarray:
        return np.asarray(model.patches(images)).transpose(0, 2, 3, 1)[..., chosen].astype(float)

    images = damaged(textures(2, seed=5))
    heat, scores = answers(model.graph(), images)
    good, odd = rows(textures(20)), rows(images)
    h, w, d = good.shape[1:]
    gaps = mahalanobis(odd.reshape(2, -1, d), good.reshape(20, -1, d), 0.01).reshape(2, h, w)
    for b in range(2):
        large = cv2.resize(gaps[b], (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
        blurred = cv2.GaussianBlur(large, (33, 33), 4, borderType=cv2.BORDER_REPLICATE)
        assert np.allclose(heat[b], blurred, rtol=2e-2, atol=2e-3 * blurred.max())
    assert np.array_equal(scores, heat.reshape(2, -1).max(1))


def test_learning_and_forgetting_go_on_after_restoring() -> None:
    odd = damaged(textures(3, seed=9))
    model = fitted()
    before = answers(model.graph(), odd)[1]
    other = Padim(model.settings)
    other.restore(model.weights())
    assert np.array_equal(answers(other.graph(), odd)[1], before)
    other.watch(odd, torch.tensor([100, 101, 102]))
    with pytest.raises(NotFitted, match="padim has no Gaussians yet"):
        other.graph()
    other.settle()
    assert (answers(other.graph(), odd)[1] < 0.7 * before).all()
    other.forget(torch.tensor([100, 101, 102]))
    other.settle()
    assert np.allclose(answers(other.graph(), odd)[1], before, rtol=2e-2)


@pytest.mark.parametrize("size", [64, 75])
def test_onnx_answers_as_torch(size: int, tmp_path: Path) -> None:
    model = Padim(Settings(size=size))
    model.watch(textures(6, size=size), torch.arange(6))
    model.settle()
    graph = model.graph()
    session = exported(graph, textures(2, size=size), tmp_path / "model.onnx")
    for count in (1, 3):
        images = damaged(textures(count, seed=3, size=size))
        heat, scores = answers(graph, images)
        assert heat.shape == (count, size, size)
        found = session.run(None, {session.get_inputs()[0].name: images.numpy()})
        assert np.allclose(found[0], heat, rtol=1e-3, atol=1e-3)
        assert np.allclose(found[1], scores, rtol=1e-3)


def test_messages() -> None:
    model = Padim(Settings(size=SIZE))
    with pytest.raises(NotFitted, match="padim has no Gaussians yet: call fit"):
        model.graph()
    model.watch(textures(1), torch.tensor([0]))
    with pytest.raises(NotFitted, match="padim has watched 1 images, and a variance needs two"):
        model.settle()
    with pytest.raises(BadSettings, match=r"ridge=0\.0: expected a number above 0"):
        Settings(ridge=0.0)
    with pytest.raises(BadSettings, match=r"padim knows \(\d+, \d+\) places, these images have"):
        fitted(6).graph()(textures(1, size=96))
    with pytest.raises(WeightsMismatch, match=r"not of this padim.*sums"):
        Padim(Settings(size=96)).restore(fitted(6).weights())
