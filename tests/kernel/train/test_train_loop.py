"""The loop: exact resumption, honest stops, and steps that do what an optimizer by hand does."""

from __future__ import annotations

import csv
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import DataLoader
from train_toys import Bad, Plain, Points, Toy, points

from triscope.errors import BadSettings, EmptyData, TrainingError
from triscope.kernel.train import Batches, Plan, Report, Shuffled, train
from triscope.kernel.train import checkpoint as checkpoints

FULL = Plan(
    steps=17,
    batch=4,
    learning_rate=0.02,
    weight_decay=0.01,
    schedule="cosine",
    warm_up=3,
    accumulate=2,
    clip=0.5,
    ema=0.7,
    accelerator="cpu",
    seed=5,
    checkpoint_every=1,
)


class Killed(Exception):
    """Stands for a process that ends without a word."""


def shuffled() -> Shuffled:
    return Shuffled(Points(), 22, 4, seed=9)


def loader() -> Batches:
    return DataLoader(list(points()), batch_size=4, shuffle=True)


def killer(at: int) -> Any:
    def progress(step: int, steps: int, losses: Mapping[str, float]) -> None:
        if step == at:
            raise Killed

    return progress


def learned(model: Toy | Plain) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.network().state_dict().items()}


def same(one: Mapping[str, Tensor], two: Mapping[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def rows(folder: Path) -> list[list[str]]:
    with (folder / "losses.csv").open(newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("make", [shuffled, loader, lambda: list(points().split(4))])
@pytest.mark.parametrize("at", [1, 2, 8, 16])
def test_a_killed_training_goes_on_with_the_same_numbers(
    make: Any, at: int, tmp_path: Path
) -> None:
    whole = Toy(dropout=0.3)
    train(whole, make(), FULL, tmp_path / "whole")
    with pytest.raises(Killed):
        train(Toy(dropout=0.3), make(), FULL, tmp_path / "cut", killer(at))
    torch.randn(7)  # whatever happens in between must not matter
    resumed = Toy(dropout=0.3)
    report = train(resumed, make(), FULL, tmp_path / "cut")
    assert report.resumed_at == at and report.steps == 17
    assert same(learned(whole), learned(resumed))
    assert rows(tmp_path / "whole") == rows(tmp_path / "cut")


def test_steps_after_the_last_checkpoint_are_done_again(tmp_path: Path) -> None:
    plan = Plan.of(FULL, checkpoint_every=5)
    whole, resumed = Toy(), Toy()
    train(whole, shuffled(), plan, tmp_path / "whole")
    with pytest.raises(Killed):
        train(Toy(), shuffled(), plan, tmp_path / "cut", killer(13))
    assert len(rows(tmp_path / "cut")) == 1 + 13
    assert train(resumed, shuffled(), plan, tmp_path / "cut").resumed_at == 10
    assert same(learned(whole), learned(resumed))
    assert rows(tmp_path / "whole") == rows(tmp_path / "cut")


def test_the_same_seed_gives_the_same_and_the_callers_numbers_stay() -> None:
    torch.manual_seed(0)
    expected = torch.randn(3)
    torch.manual_seed(0)
    one, two, other = Toy(0.2), Toy(0.2), Toy(0.2)
    train(one, shuffled(), FULL)
    assert torch.equal(torch.randn(3), expected)
    train(two, shuffled(), FULL)
    train(other, shuffled(), Plan.of(FULL, seed=6))
    assert same(learned(one), learned(two)) and not same(learned(one), learned(other))


def test_a_step_is_the_step_of_the_optimizer_by_hand() -> None:
    """Accumulated batches, clipping, warm-up with a cosine, decay and the running mean."""
    plan = Plan(
        steps=6, learning_rate=0.1, weight_decay=0.05, optimizer="sgd", momentum=0.8, clip=0.9,
        schedule="cosine", warm_up=2, accumulate=2, ema=0.6, accelerator="cpu",
    )  # fmt: skip
    batches = list(points(20).split(5))
    model = Plain()
    train(model, batches, plan)

    line, momentum = Plain().line, None
    flat = torch.cat([line.weight.detach().flatten(), line.bias.detach()]).double()
    mean = flat.clone()
    rates = [
        0.1 / 3,
        0.2 / 3,
        0.1,
        *(0.05 * (1 + torch.cos(torch.tensor(i * torch.pi / 4))) for i in (1, 2, 3)),
    ]
    for step, rate in enumerate(rates):
        x = torch.cat([batches[(2 * step) % 4], batches[(2 * step + 1) % 4]]).double()
        error = x @ flat[:4] + flat[4] - 0.5 * x.sum(1)
        grad = torch.cat([2 * (error[:, None] * x).mean(0), 2 * error.mean().view(1)])
        grad = grad * min(1.0, 0.9 / float(grad.norm()))
        grad = grad + 0.05 * flat
        momentum = grad if momentum is None else 0.8 * momentum + grad
        flat = flat - float(rate) * momentum
        mean = 0.6 * mean + 0.4 * flat
    found = torch.cat([model.line.weight.detach().flatten(), model.line.bias.detach()])
    assert torch.allclose(found.double(), mean, atol=1e-6)


def test_frozen_parts_stay_and_buffers_follow() -> None:
    model, fresh = Toy(), Toy()
    train(model, shuffled(), FULL)
    assert torch.equal(model.parts["frozen"].weight, fresh.parts["frozen"].weight)
    assert not torch.equal(model.parts["body"][1].running_mean, fresh.parts["body"][1].running_mean)
    assert not model.network().training


def test_the_running_mean_takes_the_statistics_of_batch_norms_with_it() -> None:
    """What is kept answers as a network that saw, in every buffer too, the mean of all steps."""
    plan = Plan(steps=5, learning_rate=0.05, ema=0.6, accelerator="cpu")
    model, batches = Toy(), list(points(20).split(5))
    names = ("body.1.running_mean", "body.1.running_var", "body.1.weight")
    mean = {name: value for name, value in learned(model).items() if name in names}

    def follow(step: int, steps: int, losses: Mapping[str, float]) -> None:
        for name, value in learned(model).items():
            if name in names:
                mean[name] = 0.6 * mean[name] + 0.4 * value

    train(model, batches, plan, progress=follow)
    kept = learned(model)
    for name in names:
        assert torch.allclose(kept[name], mean[name], atol=1e-6), name
    assert int(kept["body.1.num_batches_tracked"]) == 5  # a counter has no mean


def test_a_loss_that_is_not_finite_stops_with_its_parts() -> None:
    with pytest.raises(TrainingError) as caught:
        train(Bad(), shuffled(), Plan(steps=9, learning_rate=0.01, accelerator="cpu"))
    message = str(caught.value)
    assert "the loss at step 3 of 9 is not finite: loss=nan, near=0.5, far=nan" in message
    assert "Lower learning_rate (now 0.01)" in message


def test_losses_without_a_loss() -> None:
    class Nameless(Plain):
        def losses(self, images: Tensor) -> dict[str, Tensor]:
            return {"fit": super().losses(images)["loss"]}

    with pytest.raises(
        TrainingError, match=r"losses\(\) answered fit: expected a part named 'loss'"
    ):
        train(Nameless(), shuffled(), Plan(steps=1, accelerator="cpu"))


@pytest.mark.alone
def test_ctrl_c_finishes_the_step_and_says_how_to_go_on(tmp_path: Path) -> None:

    def press(step: int, steps: int, losses: Mapping[str, float]) -> None:
        if step == 4:
            signal.raise_signal(signal.SIGINT)

    plan = Plan.of(FULL, checkpoint_every=0)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(
        KeyboardInterrupt, match=r"stopped at step 4 of 17; start the same"
    ) as caught:
        train(Toy(0.3), shuffled(), plan, tmp_path, press)
    assert str(tmp_path) in str(caught.value)
    assert signal.getsignal(signal.SIGINT) is before
    whole, resumed = Toy(0.3), Toy(0.3)
    assert train(resumed, shuffled(), plan, tmp_path).resumed_at == 4
    train(whole, shuffled(), plan)
    assert same(learned(whole), learned(resumed))
    with pytest.raises(KeyboardInterrupt, match=r"nothing was kept\. Give a folder"):
        train(Toy(), shuffled(), plan, None, press)


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    train(Toy(), shuffled(), FULL, tmp_path, key="a1")
    with pytest.raises(TrainingError, match=r"another plan: learning_rate=0.02 \(asked: 0.3\)"):
        train(Toy(), shuffled(), Plan.of(FULL, learning_rate=0.3), tmp_path, key="a1")
    with pytest.raises(TrainingError, match=r"another training: key='a1' \(asked: 'b2'\)"):
        train(Toy(), shuffled(), FULL, tmp_path, key="b2")
    done = train(Toy(), shuffled(), Plan.of(FULL, checkpoint_every=3), tmp_path, key="a1")
    assert done.resumed_at == done.steps == 17
    checkpoints.forget(tmp_path)
    assert train(Toy(), shuffled(), FULL, tmp_path, key="b2").resumed_at == 0


def test_a_checkpoint_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    train(Toy(), shuffled(), FULL, tmp_path)
    path = tmp_path / checkpoints.NAME
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(TrainingError, match=r"checkpoint.pt cannot be read .*Delete it to start"):
        train(Toy(), shuffled(), FULL, tmp_path)
    torch.save({"format": 99}, path)
    with pytest.raises(TrainingError, match="is not a checkpoint of format 1"):
        train(Toy(), shuffled(), FULL, tmp_path)


def test_writing_leaves_the_old_checkpoint_until_the_new_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints.write(tmp_path, {"step": 1})

    def broken(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", broken)
    with pytest.raises(OSError, match="no space"):
        checkpoints.write(tmp_path, {"step": 2})
    found = checkpoints.read(tmp_path)
    assert found is not None and found["step"] == 1


def test_the_best_score_is_kept_and_ends_the_training(tmp_path: Path) -> None:
    model, scores, kept = Plain(), [0.1, 0.9, 0.4, 0.5, 0.6, 0.7], []

    def score() -> float:
        kept.append(model.line.weight.detach().clone())
        return scores[len(kept) - 1]

    plan = Plan(steps=40, learning_rate=0.01, score_every=2, patience=3, accelerator="cpu")
    report = train(model, shuffled(), plan, tmp_path, score=score)
    assert report.stopped_early and report.steps == 10 and report.best_score == 0.9
    assert torch.equal(model.line.weight, kept[1]) and not torch.equal(kept[1], kept[4])


def test_a_model_without_anything_to_learn() -> None:
    class Frozen(Plain):
        def network(self) -> nn.Module:
            return self.line.requires_grad_(False)

    with pytest.raises(TrainingError, match="Linear has no parameter with requires_grad"):
        train(Frozen(), shuffled(), Plan(steps=1, accelerator="cpu"))


def test_batches_that_cannot_be_walked_again() -> None:
    once = (batch for batch in points().split(4))
    with pytest.raises(TrainingError, match="a generator that can be walked only once"):
        train(Plain(), once, Plan(steps=1, accelerator="cpu"))
    with pytest.raises(EmptyData, match="has no batch"):
        train(Plain(), [], Plan(steps=1, accelerator="cpu"))
    with pytest.raises(EmptyData, match="no image to train on"):
        Shuffled(Points(), 0, 4)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 9), st.integers(0, 5), st.integers(0, 3))
def test_an_epoch_shows_each_image_at_most_once(
    count: int, batch: int, seed: int, epoch: int
) -> None:
    source = Shuffled(lambda i: torch.tensor([float(i)]), count, batch, seed)
    shown = [int(x) for group in source(epoch) for x in group]
    assert len(set(shown)) == len(shown) == count // min(batch, count) * min(batch, count)
    assert shown == [int(x) for group in source(epoch) for x in group]


def test_bf16_learns_too() -> None:
    model = Plain()
    plan = Plan(steps=60, learning_rate=0.05, precision="bf16-mixed", accelerator="cpu")
    train(model, shuffled(), plan)
    assert model.line.weight.dtype == torch.float32
    assert torch.allclose(model.line.weight, torch.full((1, 4), 0.5), atol=0.05)


def test_a_plan_takes_what_settings_share_and_refuses_nonsense() -> None:
    class Own:
        steps, batch, learning_rate, size = 30, 2, 0.4, 256

    plan = Plan.of(Own(), devices=2)
    assert (plan.steps, plan.batch, plan.learning_rate, plan.devices) == (30, 2, 0.4, 2)
    with pytest.raises(BadSettings, match="steps=0: expected 1 or more"):
        Plan(steps=0)
    with pytest.raises(BadSettings, match="warm_up=50: expected 0 to 20, the steps there are"):
        Plan(steps=20, warm_up=50)
    with pytest.raises(BadSettings, match="ema=1: expected a number in"):
        Plan(steps=1, ema=1)
    drop = Plan(steps=100, learning_rate=1.0, schedule="drop")
    assert [drop.rate(step) for step in (0, 94, 95, 99)] == pytest.approx([1, 1, 0.1, 0.1])


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_device_that_is_not_there() -> None:
    with pytest.raises(TrainingError, match="accelerator=gpu, devices=1 cannot be had here"):
        train(Plain(), shuffled(), Plan(steps=1, accelerator="gpu"))


@pytest.mark.long
@pytest.mark.alone
def test_two_processes_learn_what_one_with_twice_the_batches_learns(tmp_path: Path) -> None:
    plan = Plan(steps=6, learning_rate=0.05, accelerator="cpu", checkpoint_every=2)
    batches = list(points(24).split(4))
    one, two = Plain(), Plain()
    single: Report = train(one, batches, Plan.of(plan, accumulate=2))
    double: Report = train(two, batches, Plan.of(plan, devices=2), tmp_path)
    assert torch.allclose(one.line.weight, two.line.weight, atol=1e-6)
    assert double.losses["loss"] == pytest.approx(single.losses["loss"], rel=1e-5)
    assert not two.line.training and len(rows(tmp_path)) == 7
    with pytest.raises(TrainingError, match=r"a process of 2 failed: .*step 3 of 6 is not finite"):
        train(Bad(), batches, Plan.of(plan, devices=2))
