"""The training of ``sam_nano`` on generated scenes, in stages: small images and one round first.

``triscope segment train`` runs it; each stage has its folder and goes on where it was stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from triscope.kernel.train import Plan, Report, train
from triscope.segment.models.sam import Sam, sam_nano
from triscope.segment.training.scenes import Scenes
from triscope.segment.training.task import PromptableTask, Recipe

VALIDATION_SEED = 1_000_000_000  # scenes from here on are never trained on
VALIDATION_BATCHES = 6
VIEWS = 3  # batches in which a scene is seen: drawing it costs as much as embedding it
Schedule = Literal["constant", "cosine", "drop"]


@dataclass(frozen=True)
class Stage:
    """One part of the training: image side, scenes, recipe and plan."""

    name: str
    side: int
    plan: Plan
    masks: int = 6  # an image
    recipe: Recipe = field(default_factory=Recipe)
    mosaics: float = 0.0  # share of images that are four scenes of half the side


def stages(seed: int = 0) -> tuple[Stage, ...]:
    """The stages that made the weights in the package."""
    # Twenty times the focal loss keeps what is uncertain below the threshold; less of it fills it.
    one = Recipe(
        clicks=0, rounds_without=0, judge_all=True, focal=5.0, all_of_point=0.1, all_of_box=0.7
    )
    two = replace(one, clicks=1)
    more = replace(one, clicks=4, rounds_without=1, fewer=True)
    # People click the middle of a thing: half of the clicks lie there, and the three answers differ
    # more, since what was meant is clearer.
    two_in, more_in = (replace(one, centred=0.5, all_of_point=0.03) for one in (two, more))
    return (
        Stage("first", 128, _plan(4000, 12, 1.5e-3, seed, "constant"), 6, one),
        Stage("second", 256, _plan(3900, 6, 1e-3, seed, "cosine"), 6, two),
        Stage("longer", 256, _plan(5000, 6, 7e-4, seed, "cosine"), 6, two),
        Stage("third", 512, _plan(550, 2, 3e-4, seed, "cosine", 250), 4, more, 0.25),
        Stage("fourth", 512, _plan(400, 2, 2.5e-4, seed, "cosine", 200), 4, more, 0.25),
        Stage("middles", 256, _plan(4300, 6, 5e-4, seed, "cosine"), 6, two_in),
        Stage("last", 512, _plan(400, 2, 2.5e-4, seed, "cosine", 200), 4, more_in, 0.25),
    )


def _plan(
    steps: int, batch: int, rate: float, seed: int, schedule: Schedule, score_every: int = 500
) -> Plan:
    return Plan(
        steps=steps, batch=batch, learning_rate=rate, weight_decay=0.05, optimizer="adamw",
        schedule=schedule, warm_up=100, precision="bf16-mixed", clip=1.0, ema=0.998,
        checkpoint_every=200, score_every=score_every, seed=seed, accelerator="cpu",
    )  # fmt: skip


def train_nano(
    folder: Path,
    progress: Callable[[int, int, Mapping[str, float]], None] | None = None,
    seed: int = 0,
) -> tuple[Sam, Report]:
    """All stages, one after the other; each begins with the weights of the one before."""
    network: Sam | None = None
    report: Report | None = None
    for number, stage in enumerate(stages(seed)):
        weights = None if network is None else dict(network.state_dict())
        network, report = run_stage(stage, weights, folder / stage.name, progress, number)
    assert network is not None and report is not None
    return network, report


def run_stage(
    stage: Stage,
    weights: Mapping[str, Tensor] | None,
    folder: Path,
    progress: Callable[[int, int, Mapping[str, float]], None] | None = None,
    number: int = 0,
) -> tuple[Sam, Report]:
    """Train one stage from weights (or from scratch), in ``folder``; the network and its report."""
    torch.manual_seed(stage.plan.seed)
    network = sam_nano(stage.side)
    if weights is not None:
        network.load_state_dict(dict(weights))
    scenes = Scenes(
        side=stage.side,
        batch=stage.plan.batch,
        masks=stage.masks,
        first_seed=number * VALIDATION_SEED // 20,
        views=VIEWS,
        mosaics=stage.mosaics,
    )
    score = Validation(network, stage.side)
    report = train(
        PromptableTask(network, stage.recipe),
        scenes,
        stage.plan,
        folder,
        progress,
        key=f"{stage.name} {stage.side} {stage.recipe}",
        score=score,
    )
    return network, report


class Validation:
    """Mean overlap of the first answers, to a box and to a point, on scenes kept apart."""

    def __init__(self, network: Sam, side: int) -> None:
        self.scenes = Scenes(side, 4, 8, VALIDATION_BATCHES, VALIDATION_SEED)
        recipe = Recipe(clicks=1, rounds_without=0)
        self.task = PromptableTask(network, recipe)
        self.last: dict[str, float] = {}

    @torch.no_grad()
    def __call__(self) -> float:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # the same boxes and points each time
            rounds = [self.task.losses(batch) for batch in self.scenes(0)]
        names = ("box_iou", "point_iou", "last_iou")
        self.last = {n: float(torch.stack([one[n] for one in rounds]).mean()) for n in names}
        return sum(self.last.values()) / len(names)
