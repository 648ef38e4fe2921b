"""Fine-tuning of a part, LoRA, and distillation of an encoder, on tiny networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from triscope.errors import BadSettings, EmptyData, UnknownModel, UsageError, WeightsMissing
from triscope.kernel.train import Plan
from triscope.segment.evaluate.cases import Case, scenes
from triscope.segment.models._tiny_vit import Stage, TinyViT
from triscope.segment.models.sam import Sam, sam_nano
from triscope.segment.networks import load_network, nano_of_size, save_weights
from triscope.segment.training.distill import distil, small_encoder
from triscope.segment.training.finetune import Examples, FineTuning, Settings, finetune, learns
from triscope.segment.training.lora import LoraLinear, add_lora, merge_lora
from triscope.segment.training.task import Recipe

CASES = list(scenes(3, (64, 64), first_seed=50))


def network() -> Sam:
    torch.manual_seed(0)
    return sam_nano(128).eval()


def changed(before: dict[str, torch.Tensor], after: Sam) -> set[str]:
    now = after.state_dict()
    return {key.split(".")[0] for key, value in before.items() if not torch.equal(value, now[key])}


def copied(one: Sam) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in one.state_dict().items()}


@pytest.mark.parametrize(
    ("part", "parts"),
    [
        ("decoder", {"prompt_encoder", "mask_decoder"}),
        ("lora", {"prompt_encoder", "mask_decoder", "image_encoder"}),
        ("full", {"prompt_encoder", "mask_decoder", "image_encoder"}),
    ],
)
def test_only_what_is_asked_for_learns(part: str, parts: set[str]) -> None:
    one = network()
    before = copied(one)
    settings = Settings(part=part, steps=2, batch=1, masks=2, clicks=1, rounds_without=0)  # type: ignore[arg-type]
    finetune(one, CASES, settings)
    assert changed(before, one) == parts
    assert set(before) == set(one.state_dict())  # the published keys again
    assert all(p.requires_grad for p in one.parameters())


def test_lora_learns_little_and_starts_at_nothing() -> None:
    one = network()
    image = torch.randn(1, 3, 128, 128)
    with torch.no_grad():
        before = one.embed(image)
        whole = learns(one.image_encoder)
        FineTuning(one, Recipe(), "lora", rank=2)
        assert learns(one.image_encoder) < 0.05 * whole
        torch.testing.assert_close(one.embed(image), before)


def test_merged_additions_answer_the_same() -> None:
    one = network()
    assert add_lora(one.image_encoder, rank=2) == 4  # two attentions, two layers each
    for module in one.image_encoder.modules():
        if isinstance(module, LoraLinear):
            torch.nn.init.normal_(module.up, std=0.1)
    image = torch.randn(1, 3, 128, 128)
    with torch.no_grad():
        before = one.embed(image)
        merge_lora(one.image_encoder)
        torch.testing.assert_close(one.embed(image), before, atol=1e-4, rtol=1e-4)


def test_batch_statistics_of_a_resting_encoder_stay() -> None:
    one = network()
    norm = next(m for m in one.modules() if isinstance(m, torch.nn.BatchNorm2d))
    before = norm.running_mean.clone()  # type: ignore[union-attr]
    finetune(one, CASES, Settings(steps=1, batch=1, masks=1, clicks=0, rounds_without=0))
    assert torch.equal(norm.running_mean, before)  # type: ignore[arg-type]


def test_examples_of_any_size_fit_the_square() -> None:
    mask = np.zeros((30, 90), bool)
    mask[:, :45] = True
    case = Case("a", np.full((30, 90), 7, np.uint8), (mask,))
    (batch,) = Examples([case], network(), Settings(batch=4, masks=3))(0)
    assert batch["images"].shape == (1, 3, 128, 128) and batch["masks"].shape == (1, 3, 32, 32)
    assert batch["masks"][0, 0].sum().item() * 16 == pytest.approx(64 * 43, rel=0.02)


def test_settings_and_data_are_checked() -> None:
    with pytest.raises(BadSettings, match="part='neck': expected decoder, lora or full"):
        Settings(part="neck")  # type: ignore[arg-type]
    with pytest.raises(EmptyData, match="no image with a mask to learn from"):
        finetune(network(), [])


def test_a_student_learns_its_teacher(tmp_path: Path) -> None:
    teacher = network()
    torch.manual_seed(1)
    student = small_encoder(teacher, (16, 32, 64))
    seen: list[float] = []
    plan = Plan(steps=12, batch=2, learning_rate=2e-3, optimizer="adamw", accelerator="cpu")
    images = [case.image for case in CASES]
    pupil, report = distil(
        teacher, student, images, plan, tmp_path, lambda _s, _n, parts: seen.append(parts["loss"])
    )
    assert report.steps == 12 and np.mean(seen[-3:]) < 0.8 * seen[0]
    assert len(list((tmp_path / "embeddings").glob("*.npy"))) == 3
    logits, iou = pupil.decode(pupil.embed(torch.zeros(1, 3, 128, 128)), boxes=torch.ones(1, 4))
    assert logits.shape == (1, 3, 32, 32) and iou.shape == (1, 3)


def test_embeddings_of_two_shapes_are_refused(tmp_path: Path) -> None:
    stages = (
        Stage(width=16, depth=1, stride=2),
        Stage(width=32, depth=1, heads=1, window=8, stride=2),
        Stage(width=32, depth=1, heads=1, window=8),
    )
    plan = Plan(steps=1, batch=1, learning_rate=1e-3)
    with pytest.raises(UsageError, match=r"the student answers \(1, 64, 8, 8\), the teacher"):
        distil(network(), TinyViT(stages=stages, out=64), [CASES[0].image], plan, tmp_path)


def test_weights_by_name(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    one = network()
    save_weights(one, path)
    assert path.stat().st_size <= 4_000_000
    again = nano_of_size(128, path)
    for key, value in one.state_dict().items():
        torch.testing.assert_close(again.state_dict()[key], value, atol=2e-3, rtol=2e-3)
    with pytest.raises(UnknownModel, match=r"no network 'sam_micro': there are sam_vit_b"):
        load_network("sam_micro")
    with pytest.raises(WeightsMissing, match=r"none\.pt is not there"):
        load_network("sam_nano", tmp_path / "none.pt")
