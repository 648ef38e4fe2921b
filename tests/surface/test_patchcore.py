"""PatchCore against its formulas in NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from distilled import SIZE, TINY, answers, damaged, exported, textures
from test_coreset import plain
from torch import nn

from triscope.errors import BadSettings, NotFitted, WeightsMismatch
from triscope.kernel.nn.tap import Tap
from triscope.surface.memory import Memory
from triscope.surface.models._patches import Enlarged, Patches, views
from triscope.surface.models.patchcore import Nearest, PatchCore, Settings


def fitted(count: int = 12, batch: int = 5, **settings: Any) -> PatchCore:
    model = PatchCore(Settings(**{"size": SIZE, "keep": 0.1, **settings}))
    images = textures(count)
    for start in range(0, count, batch):
        part = images[start : start + batch]
        model.watch(part, torch.arange(start, start + len(part)))
    model.settle()
    return model


def features(model: PatchCore, images: torch.Tensor) -> np.ndarray:
    """(b, n, d) by hand from the tap's levels: 3x3 averages over zeros outside, joined."""
    maps = [level.numpy() for level in model.patches.tap(images)]
    size = maps[0].shape[2:]
    joined = []
    for level in maps:
        out = np.empty((*level.shape[:2], *size), np.float32)
        for b, c in np.ndindex(level.shape[:2]):
            mean = cv2.blur(level[b, c], (3, 3), borderType=cv2.BORDER_CONSTANT)
            out[b, c] = cv2.resize(mean, size[::-1], interpolation=cv2.INTER_LINEAR)
        joined.append(out)
    whole = np.concatenate(joined, 1)
    return whole.reshape(*whole.shape[:2], -1).transpose(0, 2, 1)


@pytest.mark.parametrize("settings", [{}, TINY])
def test_bank_heat_and_score_are_the_papers(settings: dict[str, Any]) -> None:
    model = fitted(4, keep=0.05, **settings)
    good = features(model, textures(4)).reshape(-1, model.patches.dims)
    stored = good.astype(np.float16).astype(np.float64)
    bank = stored[plain(stored, len(model.memory.bank))[0]]
    same = (np.abs(model.memory.bank.double().numpy()[:, None] - bank[None]).max(2) < 2e-2).any(1)
    assert same.mean() > 0.9  # a tie may fall the other way by rounding
    bank = model.memory.bank.double().numpy()

    images = damaged(textures(3, seed=5))
    heat, scores = answers(model.graph(), images)
    gaps = np.linalg.norm(features(model, images)[:, :, None] - bank[None, None], axis=3)  # b n m
    for b in range(3):
        least = gaps[b].min(1)
        side = int(len(least) ** 0.5)
        large = cv2.resize(least.reshape(side, side), (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
        blurred = cv2.GaussianBlur(large, (33, 33), 4, borderType=cv2.BORDER_REPLICATE)
        assert np.allclose(heat[b], blurred, rtol=2e-3, atol=2e-3 * blurred.max())
        worst = least.argmax()
        star = gaps[b, worst].argmin()
        around = np.argsort(np.linalg.norm(bank - bank[star], axis=1))[:9]
        weight = 1 - np.exp(gaps[b, worst, star]) / np.exp(gaps[b, worst, around]).sum()
        assert scores[b] == pytest.approx(weight * least.max(), rel=2e-3)


@pytest.mark.parametrize("block", [4, 256])
def test_the_search_is_brute_force_in_blocks(block: int) -> None:
    generator = torch.Generator().manual_seed(0)
    bank, rows = (torch.randn(n, 6, generator=generator) + 3 for n in (90, 40))
    search = Nearest(bank.half(), 1)
    search.block = block
    expected = torch.cdist(rows, bank.half().float()).amin(1)
    assert torch.allclose(search(rows), expected, atol=5e-3)


def test_only_the_largest_distance_counts_with_one_neighbour() -> None:
    model = fitted(4, neighbours=1, sigma=0.0)
    heat, scores = answers(model.graph(), damaged(textures(2, seed=3)))
    assert (scores >= heat.reshape(2, -1).max(1)).all()  # places are averaged when enlarged
    assert (scores <= 1.2 * heat.reshape(2, -1).max(1)).all()


def test_batches_do_not_change_the_fit_and_the_same_fit_gives_the_same() -> None:
    one, two, again = fitted(batch=12), fitted(batch=5), fitted(batch=5)
    assert torch.equal(two.memory.bank, again.memory.bank)
    images = damaged(textures(2, seed=1))
    for a, b in zip(answers(one.graph(), images), answers(two.graph(), images), strict=True):
        assert np.allclose(a, b, rtol=1e-2)


def test_forgetting_equals_a_fit_without_the_images() -> None:
    model = fitted(12, batch=1, reserve=100.0)
    model.forget(torch.tensor([3, 8]))
    with pytest.raises(NotFitted, match="patchcore has no bank yet"):
        model.graph()
    model.settle()
    images = textures(12)
    other = PatchCore(model.settings)
    for i in (i for i in range(12) if i not in (3, 8)):
        other.watch(images[i : i + 1], torch.tensor([i]))
    other.settle()
    assert not model.memory.condensed and torch.equal(model.memory.bank, other.memory.bank)


def test_learning_goes_on_after_settling_and_after_restoring() -> None:
    odd = damaged(textures(1, seed=9))
    model = fitted(8, reserve=2.0)
    assert model.memory.condensed and model.memory.held < 0.3 * model.memory.total
    before = answers(model.graph(), odd)[1]
    other = PatchCore(model.settings)
    other.restore(model.weights())
    assert np.array_equal(answers(other.graph(), odd)[1], before)
    other.watch(odd, torch.tensor([100]))
    other.settle()
    assert answers(other.graph(), odd)[1] < 0.5 * before
    other.forget(torch.tensor([100]))
    other.settle()
    assert answers(other.graph(), odd)[1] == pytest.approx(before, rel=0.1)


def test_the_bank_is_bounded() -> None:
    model = fitted(6, keep=0.5, rows=20)
    assert model.memory.bank.shape[0] == 20 and model.memory.held <= 20 * 8 + 20
    memory = Memory(model.patches.dims, 10**6)
    assert memory.capacity * (2 * memory.dims + 40) <= 1e6


def test_views_teach_other_poses_and_lights() -> None:
    images = textures(6)
    images[:, :, 20:44, 28:32] = 0.1  # an upright bar
    lying, dim = torch.rot90(images, 1, (2, 3)), images * 0.8
    few = {"size": SIZE, "keep": 0.1}
    plain_fit = PatchCore(Settings(**few))
    rich = PatchCore(Settings(**few, rotations=(90.0,), colour=0.2))
    for model in (plain_fit, rich):
        model.watch(images, torch.arange(6))
        model.settle()
    for changed in (lying, dim):
        assert (
            answers(rich.graph(), changed)[1].max() < answers(plain_fit.graph(), changed)[1].min()
        )
    assert rich.memory.total == 6 * plain_fit.memory.total


def test_turned_views() -> None:
    images = textures(1)
    assert torch.equal(list(views(images, (180.0,), 0.0))[1], images.flip(2, 3))
    spot = torch.zeros(1, 3, 33, 33)
    spot[:, :, 16, 26] = 1.0  # right of the centre
    (_, turned) = views(spot, (45.0,), 0.0)
    row, column = divmod(int(turned[0, 0].argmax()), 33)
    assert abs(row - (16 - 7)) <= 1 and abs(column - (16 + 7)) <= 1  # anticlockwise, as 90
    row, column = divmod(int(torch.rot90(spot, 1, (2, 3))[0, 0].argmax()), 33)
    assert (row, column) == (6, 16)


@pytest.mark.parametrize("sigma", [0.0, 4.0])
def test_the_map_is_interpolated_then_blurred(sigma: float) -> None:
    maps = np.random.default_rng(0).random((2, 9, 7)).astype(np.float32)
    enlarge = Enlarged((9, 7), (50, 41), sigma)
    for places, size in (((9, 7), (50, 41)), ((5, 6), (64, 33))):
        given = maps[:, : places[0], : places[1]]
        found = enlarge(torch.from_numpy(given.copy()), size).numpy()
        for one, two in zip(found, given, strict=True):
            large = cv2.resize(two, size[::-1], interpolation=cv2.INTER_LINEAR)
            if sigma:
                large = cv2.GaussianBlur(large, (33, 33), 4, borderType=cv2.BORDER_REPLICATE)
            assert np.allclose(one, large, atol=1e-5)


def test_the_projection_keeps_distances() -> None:
    class Wide(nn.Module):
        def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
            generator = torch.Generator().manual_seed(0)
            return [torch.randn(1, 2000, 6, 6, generator=generator)]

    images = torch.zeros(1, 3, 8, 8)
    tap = Tap(Wide(), "wide", (0,), (2000,), (1,))
    wide, narrow = (Patches(tap, dims=d)(images).flatten(2)[0].T for d in (0, 256))
    assert wide.shape == (36, 2000) and narrow.shape == (36, 256)
    ratio = torch.pdist(narrow) / torch.pdist(wide)
    assert ratio.min() > 0.8 and ratio.max() < 1.2


@pytest.mark.parametrize(("size", "settings"), [(75, {}), (64, {**TINY, "dims": 40})])
def test_onnx_answers_as_torch(size: int, settings: dict[str, Any], tmp_path: Path) -> None:
    model = PatchCore(Settings(size=size, keep=0.5, **settings))
    model.watch(textures(4, size=size), torch.arange(4))
    model.settle()
    graph = model.graph()
    graph.nearest.block = 100  # several blocks
    session = exported(graph, textures(2, size=size), tmp_path / "model.onnx")
    for count in (1, 3):
        images = damaged(textures(count, seed=3, size=size))
        heat, scores = answers(graph, images)
        assert heat.shape == (count, size, size)
        found = session.run(None, {session.get_inputs()[0].name: images.numpy()})
        assert np.allclose(found[0], heat, atol=1e-4) and np.allclose(found[1], scores, atol=1e-4)


def test_weights_of_another_model_are_refused() -> None:
    model = fitted(2)
    weights = model.weights()
    with pytest.raises(WeightsMismatch, match=r"not of this patchcore: 1 keys.*memory.owners"):
        model.restore({k: v for k, v in weights.items() if k != "memory.owners"})
    other = PatchCore(Settings(size=SIZE, layers=(0,)))
    with pytest.raises(WeightsMismatch, match=r"memory.rows"):
        other.restore(weights)


def test_messages() -> None:
    model = PatchCore(Settings(size=SIZE))
    with pytest.raises(NotFitted, match="patchcore has no bank yet: call fit"):
        model.graph()
    with pytest.raises(NotFitted, match="patchcore has watched no images"):
        model.settle()
    with pytest.raises(BadSettings, match=r"keep=0.0: expected a share in \(0, 1\]"):
        Settings(keep=0.0)
    with pytest.raises(BadSettings, match="memory=100: expected more than 900000000 bytes"):
        Settings(memory=100)
