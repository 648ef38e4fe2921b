"""STFPM against its formulas written out in NumPy, and the student for backbones of any kind."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from distilled import SIZE, textures
from torch import nn

from triscope.errors import BadSettings
from triscope.surface.models.stfpm import PlainStudent, Settings, Stfpm, distances


class Fixed(nn.Module):
    """Answers given maps whatever it is shown."""

    def __init__(self, *maps: np.ndarray) -> None:
        super().__init__()
        self.maps = [torch.from_numpy(m) for m in maps]

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        return self.maps


def two_pyramids() -> tuple[list[np.ndarray], list[np.ndarray]]:
    rng = np.random.default_rng(0)
    shapes = [(2, 5, 16, 16), (2, 7, 8, 8)]
    return (
        [rng.normal(size=s).astype(np.float32) for s in shapes],
        [rng.normal(size=s).astype(np.float32) for s in shapes],
    )


def by_hand(t: np.ndarray, s: np.ndarray) -> np.ndarray:
    out = np.zeros((len(t), *t.shape[2:]))
    for b, i, j in np.ndindex(out.shape):
        u, v = t[b, :, i, j].astype(float), s[b, :, i, j].astype(float)
        out[b, i, j] = 0.5 * ((u / np.linalg.norm(u) - v / np.linalg.norm(v)) ** 2).sum()
    return out


def test_distances_loss_and_map_are_the_papers() -> None:
    taught, learned = two_pyramids()
    model = Stfpm(Settings(size=SIZE))
    model.parts["teacher"], model.parts["student"] = Fixed(*taught), Fixed(*learned)
    images = torch.zeros(2, 3, SIZE, SIZE)
    expected = [by_hand(t, s) for t, s in zip(taught, learned, strict=True)]
    found = distances(model.parts["teacher"], model.parts["student"], images)
    for one, two in zip(found, expected, strict=True):
        assert np.allclose(one[:, 0], two, atol=1e-6)
    losses = model.losses(images)
    assert float(losses["loss"]) == pytest.approx(sum(m.mean() for m in expected), rel=1e-6)
    assert float(losses["level_1"]) == pytest.approx(expected[1].mean(), rel=1e-6)
    heat, score = model.graph()(images)
    for b in range(2):
        large = [cv2.resize(m[b], (SIZE, SIZE), interpolation=cv2.INTER_LINEAR) for m in expected]
        assert np.allclose(heat[b], large[0] * large[1], atol=1e-5)
        assert float(score[b]) == pytest.approx((large[0] * large[1]).max(), rel=1e-4)


@pytest.mark.parametrize("strides", [(4, 8, 16), (2, 4), (8, 8, 8), (16,), (2, 8, 16)])
def test_the_plain_student_has_the_teachers_sizes(strides: tuple[int, ...]) -> None:
    channels = tuple(5 + i for i in range(len(strides)))
    levels = PlainStudent(channels, strides)(textures(2))
    shapes = [tuple(level.shape) for level in levels]
    assert shapes == [(2, c, SIZE // s, SIZE // s) for c, s in zip(channels, strides, strict=True)]


def test_the_student_starts_from_its_seed_and_not_from_the_teacher() -> None:
    tiny = {"size": SIZE, "backbone": "resnet10t", "weights": "random:0"}
    before = torch.random.get_rng_state()
    one, two, other = (Stfpm(Settings(**tiny, seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    first, second, third = (next(m.parts["student"].parameters()) for m in (one, two, other))
    assert torch.equal(first, second) and not torch.equal(first, third)
    names = {n for n, p in one.network().named_parameters() if p.requires_grad}
    assert names and all(name.startswith("student.") for name in names)
    images = textures(1)
    assert [m.shape for m in one.parts["teacher"](images)] == [
        m.shape for m in one.parts["student"](images)
    ]


def test_settings_refuse_nonsense() -> None:
    with pytest.raises(BadSettings, match="size=8: expected 32 or more"):
        Settings(size=8)
    with pytest.raises(BadSettings, match="learning_rate=0: expected a number above 0"):
        Settings(learning_rate=0)
