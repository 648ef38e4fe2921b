"""Reverse distillation against its formulas in NumPy and SciPy, and for pyramids of any shape."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from distilled import SIZE
from scipy import ndimage
from torch import nn

from triscope.errors import BadSettings
from triscope.surface.models._distillation import Blur
from triscope.surface.models.reverse_distillation import (
    Bottleneck,
    Decoder,
    ReverseDistillation,
    Settings,
)


class Fixed(nn.Module):
    """Answers given maps whatever it is shown."""

    def __init__(self, *maps: np.ndarray) -> None:
        super().__init__()
        self.maps = [torch.from_numpy(m) for m in maps]

    def forward(self, *_: object) -> list[torch.Tensor]:
        return self.maps


def test_loss_and_map_are_the_papers() -> None:
    rng = np.random.default_rng(0)
    shapes = [(2, 5, 16, 16), (2, 7, 8, 8), (2, 3, 4, 4)]
    taught, restored = ([rng.normal(size=s).astype(np.float32) for s in shapes] for _ in "ts")
    model = ReverseDistillation(Settings(size=SIZE, sigma=2.0))
    model.parts["teacher"], model.parts["decoder"] = Fixed(*taught), Fixed(*restored)
    model.parts["bottleneck"] = nn.Identity()
    expected = []
    for t, s in zip(taught, restored, strict=True):
        norms = np.linalg.norm(t, axis=1) * np.linalg.norm(s, axis=1)
        expected.append(1 - (t * s).sum(1) / norms)
    images = torch.zeros(2, 3, SIZE, SIZE)
    losses = model.losses(images)
    assert float(losses["loss"]) == pytest.approx(sum(m.mean() for m in expected), rel=1e-5)
    heat, score = model.graph()(images)
    for b in range(2):
        total = sum(
            cv2.resize(m[b], (SIZE, SIZE), interpolation=cv2.INTER_LINEAR) for m in expected
        )
        smooth = ndimage.gaussian_filter(total.astype(float), 2.0, mode="nearest")
        assert np.allclose(heat[b], smooth, atol=1e-4)
        assert float(score[b]) == pytest.approx(smooth.max(), abs=1e-4)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 4.0])
def test_blur_is_scipys(sigma: float) -> None:
    heat = np.random.default_rng(1).normal(size=(2, 40, 31)).astype(np.float32)
    found = Blur(sigma)(torch.from_numpy(heat)).numpy()
    for one, two in zip(found, heat, strict=True):
        expected = ndimage.gaussian_filter(two.astype(float), sigma, mode="nearest", truncate=4.0)
        assert np.allclose(one, expected, atol=1e-5)
    assert torch.equal(Blur(0)(torch.from_numpy(heat)), torch.from_numpy(heat))


@pytest.mark.parametrize(
    ("channels", "strides", "size"),
    [
        ((6, 8, 10), (4, 8, 16), 64),
        ((6, 8, 10), (4, 8, 16), 75),
        ((7,), (8,), 50),
        ((9, 9, 9), (16, 16, 16), 70),
        ((4, 6), (2, 16), 64),
        ((12, 5, 7, 3), (2, 4, 8, 32), 96),
    ],
)
def test_the_decoder_restores_pyramids_of_any_shape(
    channels: tuple[int, ...], strides: tuple[int, ...], size: int
) -> None:
    levels = [
        torch.randn(2, c, -(-size // s), -(-size // s))
        for c, s in zip(channels, strides, strict=True)
    ]
    code = Bottleneck(channels, strides, blocks=1).eval()(levels)
    assert code.shape[1] == 2 * channels[-1]
    assert code.shape[-1] == -(-levels[-1].shape[-1] // 2)
    restored = Decoder(channels, strides, blocks=2).eval()(code, [x.shape[-2:] for x in levels])
    assert [r.shape for r in restored] == [x.shape for x in levels]


def test_only_the_student_side_learns() -> None:
    model = ReverseDistillation(Settings(size=SIZE, backbone="resnet10t", weights="random:0"))
    learned = {
        n.partition(".")[0] for n, p in model.network().named_parameters() if p.requires_grad
    }
    assert learned == {"bottleneck", "decoder"}
    with pytest.raises(BadSettings, match="blocks=0: expected 1 or more"):
        Settings(blocks=0)
