"""EfficientAD: the paper's sizes, its loss and its scaling by hand, teachers from files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from distilled import SIZE, answers, taught, textures
from torch.nn import functional as F

from triscope.errors import (
    BadSettings,
    EmptyData,
    NotFitted,
    UnreadableImage,
    WeightsMismatch,
    WeightsMissing,
)
from triscope.surface.models import _variants
from triscope.surface.models._pdn import Autoencoder, Pdn, Standard, features_of, grid
from triscope.surface.models.efficientad import (
    EfficientAd,
    Settings,
    difference_maps,
    hard_mean,
)


def small(**changes: object) -> Settings:
    return Settings(**{"size": SIZE, "width": 0.125, "steps": 6, "batch": 2, **changes})  # type: ignore[arg-type]


def test_the_networks_have_the_papers_sizes() -> None:
    """Tables 6 and 8 without padding: 2.7 million parameters in the teacher, 56x56 places."""
    teacher, images = Pdn(1, 384), torch.zeros(1, 3, 256, 256)
    assert sum(p.numel() for p in teacher.parameters()) == 2_694_144
    assert teacher(images).shape == (1, 384, 56, 56)
    assert Autoencoder(256, 384)(images).shape == (1, 384, 56, 56)
    assert Autoencoder(256, 384).sizes == [3, 8, 15, 32, 63, 127]
    layers = (teacher.conv1, teacher.conv2, teacher.conv3, teacher.conv4)
    kernels = [tuple(layer.kernel_size) for layer in layers]
    assert kernels == [(4, 4), (4, 4), (3, 3), (4, 4)]


@pytest.mark.parametrize("size", [64, 75, 100, 130])
def test_any_size_fits(size: int) -> None:
    images = torch.rand(1, 3, size, size)
    assert Pdn(0.1, 8)(images).shape[-1] == grid(size) == Autoencoder(size, 8)(images).shape[-1]


def test_a_place_sees_33_pixels() -> None:
    teacher, images = Pdn(0.1, 4), torch.rand(1, 3, 64, 64, requires_grad=True)
    teacher(images)[0, :, 3, 4].sum().backward()
    assert images.grad is not None
    rows, columns = images.grad[0].abs().sum(0).nonzero().T
    assert (int(rows.min()), int(rows.max())) == (12, 12 + 32)
    assert (int(columns.min()), int(columns.max())) == (16, 16 + 32)


def test_only_the_hardest_errors_count() -> None:
    errors = torch.rand(3, 5, 20, 10, generator=torch.Generator().manual_seed(0))
    expected = np.mean([np.sort(one.numpy().ravel())[-10:].mean() for one in errors])
    assert float(hard_mean(errors, 0.99)) == pytest.approx(expected, rel=1e-6)
    assert float(hard_mean(errors, 0)) == pytest.approx(float(errors.mean()), rel=1e-6)
    assert float(hard_mean(errors, 0.99999)) == pytest.approx(
        float(errors.flatten(1).max(1).values.mean())
    )


def test_the_spread_is_that_of_all_that_was_seen() -> None:
    x = torch.randn(12, 3, 5, 4, generator=torch.Generator().manual_seed(0)) * 3 + 1
    spread = Standard(3, images=10)
    for group in x.split(5):
        answer = spread(group, learn=True)
    seen = x[:10].permute(1, 0, 2, 3).flatten(1)
    mean, deviation = seen.mean(1).view(1, 3, 1, 1), seen.std(1, correction=0).view(1, 3, 1, 1)
    assert torch.allclose(answer, (x[10:] - mean) / deviation, atol=1e-5)


def test_what_the_teacher_learns_keeps_the_order_of_channels() -> None:
    levels = [torch.rand(2, 6, 8, 8), torch.rand(2, 2, 4, 4)]
    found = features_of(levels, (4, 8, 8))
    smooth = F.avg_pool2d(levels[0], 3, 1, 1)
    assert found.shape == (2, 4, 8, 8)
    assert torch.allclose(found[:, 1], smooth[:, 2:4].mean(1), atol=1e-6)


def test_the_losses_come_in_two_parts() -> None:
    model = EfficientAd(small(steps=10, teacher_share=0.3))
    images = textures(2)
    parts = []
    for _ in range(5):
        parts.append({k: float(v.detach()) for k, v in model.losses(images).items()})
    assert [p["teacher"] > 0 for p in parts] == [True, True, True, False, False]
    assert [p["student"] > 0 for p in parts] == [False, False, False, True, True]
    for p in parts:
        assert p.pop("loss") == pytest.approx(sum(p.values()))


def test_the_teacher_does_not_move_while_the_student_learns() -> None:
    model = EfficientAd(small(steps=6, teacher_share=0.5))
    before: dict[str, torch.Tensor] = {}

    def look(step: int, steps: int, losses: object) -> None:
        if step == 3:
            before.update({k: v.clone() for k, v in model.parts["teacher"].state_dict().items()})

    taught(model, textures(4), progress=look)
    after = model.parts["teacher"].state_dict()
    assert before and all(torch.equal(before[k], after[k]) for k in before)
    fresh = EfficientAd(small()).parts["teacher"].state_dict()
    assert not torch.equal(fresh["conv1.weight"], after["conv1.weight"])


def test_maps_are_scaled_by_the_quantiles_of_good_ones() -> None:
    images = textures(5)
    model = taught(EfficientAd(small()), images)
    with torch.no_grad():
        maps = [m.numpy()[:, 0] for m in difference_maps(model.parts, images)]
    lines = [np.quantile(m.ravel(), (0.9, 0.995), method="nearest") for m in maps]
    assert np.allclose(model.parts.lines, lines, rtol=1e-5)
    scaled = [0.1 * (m - low) / (high - low) for m, (low, high) in zip(maps, lines, strict=True)]
    heat, scores = answers(model.graph(), images)
    for one, two, found, score in zip(*scaled, heat, scores, strict=True):
        mean = np.pad(0.5 * one + 0.5 * two, 4, mode="edge").astype(np.float32)
        large = cv2.resize(mean, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
        assert np.allclose(found, large, atol=1e-4 * max(1, abs(large).max()))
        assert score == pytest.approx(large.max(), rel=1e-3)


def test_watching_comes_after_the_training_and_may_be_undone() -> None:
    images = textures(4)
    model = EfficientAd(small())
    with pytest.raises(NotFitted, match="efficientad has not been trained"):
        model.watch(images, torch.arange(4))
    with pytest.raises(NotFitted, match="has watched no images"):
        model.settle()
    taught(model, images)
    alone = model.parts.lines.clone()
    model.watch(torch.rand(2, 3, SIZE, SIZE), torch.tensor([7, 8]))
    model.settle()
    assert not torch.equal(model.parts.lines, alone)
    model.forget(torch.tensor([7, 8]))
    model.settle()
    assert torch.equal(model.parts.lines, alone)
    fresh = EfficientAd(small())
    fresh.losses(images)
    with pytest.raises(NotFitted, match=r"no scale for its maps yet: watch\(\) good images"):
        fresh.graph()


@pytest.mark.parametrize("kind", ["conv", "sequence", "safetensors"])
def test_a_published_teacher_loads_by_its_keys(kind: str, tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = Pdn(1, 384).state_dict()
    file = tmp_path / "teacher.pth"
    if kind == "safetensors":
        from safetensors.torch import save_file

        file = tmp_path / "teacher.safetensors"
        save_file(state, file)
    else:
        places = {"conv1": "0", "conv2": "3", "conv3": "6", "conv4": "8"}
        rename = (lambda k: places[k[:5]] + k[5:]) if kind == "sequence" else (lambda k: k)
        torch.save({rename(k): v for k, v in state.items()}, file)
    model = EfficientAd(Settings(size=SIZE, width=1, teacher_weights=str(file)))
    assert torch.equal(model.parts["teacher"].conv3.weight, state["conv3.weight"])
    assert "tap" not in model.parts
    assert not any(p.requires_grad for p in model.parts["teacher"].parameters())
    assert float(model.losses(textures(1))["teacher"]) == 0


def test_teachers_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="expected no file, or width=1: published teachers"):
        Settings(teacher_weights="teacher.pth")
    with pytest.raises(WeightsMissing, match=r"teacher_weights='none.pth' is not a file"):
        EfficientAd(Settings(size=SIZE, width=1, teacher_weights="none.pth"))
    file = tmp_path / "other.pth"
    torch.save(Pdn(1, 100).state_dict(), file)
    with pytest.raises(
        WeightsMismatch, match=r"2 keys or shapes differ, first conv4\.(bias|weight)"
    ):
        EfficientAd(Settings(size=SIZE, width=1, teacher_weights=str(file)))


def test_images_of_other_things_are_a_penalty(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"{i}.png"), rng.integers(0, 255, (40, 50, 3), dtype=np.uint8))
    (tmp_path / "notes.txt").write_text("no image")
    model = EfficientAd(small(outside=str(tmp_path)))
    assert model.outside is not None and len(model.outside.files) == 3
    assert model.outside.some(4).shape == (4, 3, SIZE, SIZE)
    plain = EfficientAd(small())
    for one in (model, plain):
        one.parts.learned_batches.fill_(5)
    torch.manual_seed(0)
    with_penalty = float(model.losses(textures(2))["student"].detach())
    assert with_penalty > float(plain.losses(textures(2))["student"].detach())
    (tmp_path / "3.png").write_bytes(b"broken")
    with pytest.raises(UnreadableImage, match=r"3\.png cannot be decoded"):
        EfficientAd(small(outside=str(tmp_path))).outside.some(40)  # type: ignore[union-attr]
    with pytest.raises(EmptyData, match="holds no image"):
        EfficientAd(small(outside=str(tmp_path / "none")))


def test_variants_stay_images_and_leave_the_input_alone() -> None:
    torch.manual_seed(0)
    images = textures(3)
    before = images.clone()
    for _ in range(20):
        for changed in (_variants.tinted(images), _variants.painted(images)):
            assert changed.shape == images.shape and changed.dtype == images.dtype
            assert float(changed.min()) >= 0 and float(changed.max()) <= 1
            assert not torch.equal(changed, images)
    assert torch.equal(images, before)


def test_settings_refuse_nonsense() -> None:
    with pytest.raises(BadSettings, match="expected two rising numbers between 0 and 1"):
        Settings(quantiles=(0.9, 0.5))
    with pytest.raises(BadSettings, match="expected two rising numbers"):
        Settings(quantiles=(0.9,))
    with pytest.raises(BadSettings, match="size=32: expected 64 or more"):
        Settings(size=32)
