"""The promptable task: prompts drawn from masks, losses by hand, rounds, learning, resuming."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from triscope.errors import BadSettings
from triscope.kernel.train import Plan, train
from triscope.segment.models.sam import Sam, sam_nano
from triscope.segment.training import losses, sampling
from triscope.segment.training.scenes import Scenes
from triscope.segment.training.task import PromptableTask, Recipe

SIDE = 128


def disc(cells: int, x: float, y: float, r: float) -> Tensor:
    rows, columns = np.ogrid[0:cells, 0:cells]
    inside = (columns - x) ** 2 + (rows - y) ** 2 <= r * r
    return torch.from_numpy(inside.astype(np.float32))


def network() -> Sam:
    torch.manual_seed(0)
    return sam_nano(SIDE)


# ---- prompts


def test_random_points_lie_in_the_mask() -> None:
    masks = torch.stack([disc(32, 8, 20, 3), disc(32, 25, 5, 4)])
    for _ in range(20):
        points = sampling.random_points(masks, SIDE)
        cells = ((points[:, 0] + 0.5) * 32 / SIDE).long()
        assert all(masks[i, y, x] for i, (x, y) in enumerate(cells.tolist()))


def test_centred_points_lie_where_people_click() -> None:
    """All of them for a share of 1, about half of them for a half; a faint mask has no middle."""
    masks = disc(32, 8, 20, 5).expand(200, 32, 32)

    def central(centred: float) -> float:
        points = sampling.random_points(masks, SIDE, centred)
        cells = ((points[:, 0] + 0.5) * 32 / SIDE).long()
        assert all(masks[0, y, x] for x, y in cells.tolist())
        return float((cells == torch.tensor([8, 20])).all(1).float().mean())

    assert central(1.0) == 1 and 0.3 < central(0.5) < 0.7 and central(0.0) < 0.1
    assert sampling.random_points(0.3 * masks, SIDE, 1.0).unique(dim=0).shape[0] > 20


def test_an_empty_mask_still_gives_a_point_of_the_image() -> None:
    points = sampling.random_points(torch.zeros(1, 32, 32), SIDE, 1.0)
    assert ((points >= 0) & (points < SIDE)).all()


def test_tight_boxes_count_shares_of_cells() -> None:
    shares = torch.zeros(1, 8, 8)
    shares[0, 2:5, 3:6] = 1
    shares[0, 2:5, 2] = 0.25  # a quarter of this column of cells is covered
    assert sampling.tight_boxes(shares)[0].tolist() == [2.75, 2, 6, 5]


def test_box_noise_has_the_published_size() -> None:
    """A tenth of the side as standard deviation, never more than 20 px."""
    masks = disc(64, 32, 32, 10).expand(2000, 64, 64)
    boxes = sampling.noisy_boxes(masks, 256)
    tight = sampling.tight_boxes(masks[:1]) * 4
    moved = boxes - tight
    side = float(tight[0, 2] - tight[0, 0])
    assert moved.abs().max() <= 20
    assert moved.std().item() == pytest.approx(0.1 * side, rel=0.05)


def test_clicks_correct_what_is_wrong() -> None:
    truth = disc(32, 16, 16, 8)[None]
    missed = torch.full((1, 32, 32), -5.0)
    point, label = sampling.correcting_points(missed, truth, SIDE)
    x, y = ((point[0, 0] + 0.5) * 32 / SIDE).long().tolist()
    assert label.item() == 1 and truth[0, y, x] == 1
    too_much = torch.full((1, 32, 32), 5.0)
    point, label = sampling.correcting_points(too_much, truth, SIDE)
    x, y = ((point[0, 0] + 0.5) * 32 / SIDE).long().tolist()
    assert label.item() == 0 and truth[0, y, x] == 0


def test_centred_clicks_correct_the_middle_of_what_is_wrong() -> None:
    truth = disc(32, 16, 16, 8)[None]
    point, label = sampling.correcting_points(torch.full((1, 32, 32), -5.0), truth, SIDE, 1.0)
    assert ((point[0, 0] + 0.5) * 32 / SIDE).long().tolist() == [16, 16] and label.item() == 1


def test_without_error_the_click_is_on_the_mask() -> None:
    truth = disc(32, 16, 16, 8)[None]
    point, label = sampling.correcting_points(20 * truth - 10, truth, SIDE)
    x, y = ((point[0, 0] + 0.5) * 32 / SIDE).long().tolist()
    assert label.item() == 1 and truth[0, y, x] == 1


# ---- losses


def test_losses_by_hand() -> None:
    logits = torch.tensor([[[[2.0, -1.0], [0.5, -3.0]]]])
    target = torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]]])
    p = 1 / (1 + np.exp(-np.array([2.0, -1.0, 0.5, -3.0])))
    t = np.array([1.0, 0, 0, 1])
    p_t = p * t + (1 - p) * (1 - t)
    alpha = 0.25 * t + 0.75 * (1 - t)
    focal = (alpha * (1 - p_t) ** 2 * -np.log(p_t)).mean()
    dice = 1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1)
    assert losses.focal(logits, target).item() == pytest.approx(focal, rel=1e-5)
    assert losses.dice(logits, target).item() == pytest.approx(dice, rel=1e-5)
    assert losses.true_iou(logits, target).item() == pytest.approx(1 / 3)


def test_focal_loss_is_torchvisions() -> None:
    from torchvision.ops import sigmoid_focal_loss

    torch.manual_seed(1)
    logits, target = torch.randn(3, 2, 8, 8), (torch.rand(3, 1, 8, 8) > 0.5).float()
    theirs = sigmoid_focal_loss(logits, target.expand_as(logits), 0.25, 2, "none").mean((2, 3))
    torch.testing.assert_close(losses.focal(logits, target), theirs)


def test_a_share_is_met_where_its_logit_says_so() -> None:
    """Half covered cells: the loss is smallest at the logit 0, not at either end."""
    target = torch.full((1, 1, 4, 4), 0.5)
    at = {v: losses.focal(torch.full((1, 1, 4, 4), v), target).item() for v in (-2.0, 0.0, 2.0)}
    assert at[0.0] < min(at[-2.0], at[2.0])


# ---- rounds


class Watched(PromptableTask):
    """Records what each round was asked."""

    def __init__(self, network: Sam, recipe: Recipe) -> None:
        super().__init__(network, recipe)
        self.asked: list[dict[str, object]] = []
        decode = network.decode

        def watching(embedding: Tensor, **prompts: object) -> object:
            self.asked.append(prompts)
            return decode(embedding, **prompts)

        network.decode = watching  # type: ignore[method-assign, assignment]


def batch() -> dict[str, Tensor]:
    return Scenes(side=SIDE, batch=1, masks=2, per_epoch=1)(0)[0]


def test_the_published_rounds() -> None:
    """Eleven rounds: one prompt, eight clicks, two without; three masks at first, then one."""
    task = Watched(network(), Recipe())
    task.losses(batch())
    for asked in (task.asked[:11], task.asked[11:]):  # boxes first, then points
        assert len(asked) == 11
        assert [one["multimask"] for one in asked] == [True] + [False] * 10
        assert asked[0]["masks"] is None and all(one["masks"] is not None for one in asked[1:])
        counts = [0 if one["points"] is None else one["points"].shape[1] for one in asked]  # type: ignore[attr-defined]
        assert counts[-1] - counts[0] == 8
        assert counts[-1] == counts[-2]  # no new click at the end
        assert sum(a == b for a, b in itertools.pairwise(counts)) == 2
    assert task.asked[0]["boxes"] is not None and task.asked[11]["boxes"] is None


def test_the_loss_is_the_sum_of_its_parts() -> None:
    torch.manual_seed(3)
    parts = PromptableTask(network(), Recipe(clicks=1, rounds_without=0)).losses(batch())
    whole = 20 * parts["focal"] + parts["dice"] + parts["quality"]
    torch.testing.assert_close(parts["loss"], whole)


def test_only_the_nearest_mask_is_pulled() -> None:
    """The minimum over the three masks: the other two get no gradient from the mask losses."""
    task = PromptableTask(network(), Recipe(quality=0))
    logits = torch.stack([torch.full((8, 8), v) for v in (-4.0, 3.0, -2.0)])[None].requires_grad_()
    parts, _ = task._judge(logits, torch.zeros(1, 3), torch.ones(1, 1, 8, 8))
    parts["loss"].backward()
    assert logits.grad is not None
    assert logits.grad[0].abs().sum(dim=(1, 2)).gt(0).tolist() == [False, True, False]


def test_all_masks_are_pulled_by_their_share() -> None:
    torch.manual_seed(0)
    logits, truth = torch.randn(2, 3, 8, 8), disc(8, 4, 4, 2).expand(2, 1, 8, 8)
    task = PromptableTask(network(), Recipe(quality=0, focal=2, dice=3))
    each = 2 * losses.focal(logits, truth) + 3 * losses.dice(logits, truth)
    for shared in (0.0, 0.25, 1.0):
        parts, _ = task._judge(logits, torch.zeros(2, 3), truth, shared)
        wanted = (1 - shared) * each.min(dim=1).values.mean() + shared * each.mean()
        torch.testing.assert_close(parts["loss"], wanted)


def test_settings_are_checked() -> None:
    with pytest.raises(BadSettings, match=r"clicks=-1: expected 0 or more"):
        Recipe(clicks=-1)
    with pytest.raises(BadSettings, match=r"rounds_without=3: expected 0, 1 or 2"):
        Recipe(rounds_without=3)


# ---- learning


def plan(steps: int) -> Plan:
    return Plan(
        steps=steps, batch=2, learning_rate=1e-3, optimizer="adamw", accelerator="cpu",
        checkpoint_every=2, clip=1.0,
    )  # fmt: skip


def test_the_loss_falls() -> None:
    one = Scenes(side=SIDE, batch=2, masks=4, per_epoch=1)(0)[0]
    seen: list[float] = []
    task = PromptableTask(network(), Recipe(clicks=0, rounds_without=0))
    train(task, [one], plan(12), progress=lambda _s, _n, parts: seen.append(parts["loss"]))
    assert np.mean(seen[-3:]) < 0.8 * np.mean(seen[:3])


def test_it_resumes_with_the_same_numbers(tmp_path: Path) -> None:
    recipe, scenes = Recipe(clicks=1, rounds_without=1), Scenes(SIDE, 1, 2, 3)
    whole = network()
    train(PromptableTask(whole, recipe), scenes, plan(4))

    def stop(step: int, steps: int, parts: object) -> None:
        if step == 2:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        train(PromptableTask(network(), recipe), scenes, plan(4), tmp_path, stop)
    resumed = network()
    train(PromptableTask(resumed, recipe), scenes, plan(4), tmp_path)
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key


def test_scenes_do_not_come_again() -> None:
    scenes = Scenes(side=64, batch=2, masks=2, per_epoch=3)
    first, second = scenes(0)[0]["images"], scenes(1)[0]["images"]
    assert len(scenes(0)) == 3
    assert not torch.equal(first, second)
    assert torch.equal(first, scenes(0)[0]["images"])


def test_fewer_clicks_are_drawn_for_each_update() -> None:
    task = PromptableTask(network(), Recipe(clicks=3, rounds_without=1, fewer=True))
    rounds: list[int] = []
    task._round = lambda *_: rounds.append(1) or answer()  # type: ignore[assignment, func-returns-value]

    def answer() -> dict[str, torch.Tensor]:
        return dict.fromkeys(("loss", "focal", "dice", "quality", "iou"), torch.zeros(()))

    seen = set()
    for seed in range(12):
        torch.manual_seed(seed)
        rounds.clear()
        task.losses(batch())
        seen.add(len(rounds) // 2)  # boxes and points
    assert seen == {2, 3, 4, 5}
