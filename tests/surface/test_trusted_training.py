"""Trainings that go on after a kill, stop on held-out images, and leave their record."""

from __future__ import annotations

import csv
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import triscope
from triscope.kernel import catalogue
from triscope.kernel.data import BoxLabel, Dataset, Sample

TINY: dict[str, Any] = {
    "backbone": "resnet10t",
    "weights": "random:0",
    "norm": "batch",
    "size": 64,
    "width": 8,
    "hidden": 8,
    "anchors": (20.0,),
    "proposals": 8,
    "batch": 2,
    "steps": 10,
    "optimizer": "adamw",
    "ema": 0.5,
    "accumulate": 2,
}


def spots(count: int = 8) -> Dataset:
    rng = np.random.default_rng(0)
    samples = []
    for i in range(count):
        image = rng.integers(90, 120, (64, 64), np.uint8)
        x, y = (float(v) for v in rng.integers(4, 40, 2))
        image[int(y) : int(y) + 20, int(x) : int(x) + 20] = 230
        boxes = (BoxLabel("spot", (x, y, x + 20, y + 20)),)
        samples.append(Sample(image, f"{i}", "spot", boxes=boxes))
    return Dataset(tuple(samples), classes=("spot",))


def fitted(work: Path | None, progress: Any = None, **changes: Any) -> Any:
    settings = {**TINY, **changes}
    return triscope.fit("ddn", spots(), settings, calibrate=0.25, work=work, progress=progress)


@pytest.fixture(scope="module")
def whole() -> dict[str, torch.Tensor]:
    """What a training that nothing disturbed has learned."""
    weights: dict[str, torch.Tensor] = fitted(None).origin.model.weights()
    return weights


class Killed(Exception):
    """Stands for a power cut."""


@pytest.mark.alone
@pytest.mark.parametrize("gently", [True, False])
def test_ddn_goes_on_in_its_third_step_with_the_same_numbers(
    gently: bool, whole: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    met: list[str] = []

    def kill(stage: str, done: int, _total: int | None) -> None:
        if "3_detect" in stage and done == 2:
            met.append(stage)
            if not gently:
                raise Killed
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt if gently else Killed):
        fitted(tmp_path / "cut", kill)
    assert met
    stages: list[tuple[str, int]] = []
    again = fitted(tmp_path / "cut", lambda s, d, t: stages.append((s, d))).origin.model.weights()
    learned = [(s, d) for s, d in stages if "train" in s]
    assert learned[0] == ("train 3_detect", 3 if gently else 1)
    assert whole.keys() == again.keys()
    assert [name for name in whole if not torch.equal(whole[name], again[name])] == []


def test_the_weights_with_the_best_map_are_kept_and_logs_stay(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    model = catalogue.load("ddn")
    seen: list[float] = []
    own = model.score

    def score(self: Any, data: Dataset) -> float:
        seen.append(own(self, data))
        return seen[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "score", score)
        check = triscope.fit(
            "ddn",
            spots(),
            {**TINY, "training": "joint", "score_every": 2, "patience": 1, "tensorboard": True},
            calibrate=0.25,
            logs=tmp_path / "logs",
        )
    assert 2 <= len(seen) <= 5 and all(0 <= value <= 1 for value in seen)
    if len(seen) < 5:  # it stopped since the second look was no better
        assert seen[-1] <= max(seen[:-1])
    with (tmp_path / "logs/joint/losses.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[0][:3] == ["step", "learning_rate", "loss"] and len(rows) == 1 + 2 * len(seen)
    assert list((tmp_path / "logs/joint").glob("events.out.tfevents.*"))
    assert not (tmp_path / "logs/.fit").exists()
    assert check.card.settings["accumulate"] == 2


def test_the_score_of_a_detector_is_its_map() -> None:
    model = catalogue.load("ddn")(catalogue.settings_class("ddn")(**{**TINY, "batch": 3}))
    data = spots(4)
    model.begin(data)
    model.parts.learned_batches += 1

    def perfect(images: Any) -> Any:
        """Every white spot, as the network would answer it."""
        white = [torch.nonzero(image[0] > 0.8) for image in images]
        boxes = [torch.cat([w.amin(0).flip(0), w.amax(0).flip(0) + 1]).float() for w in white]
        count = len(images)
        return torch.stack(boxes)[:, None], torch.zeros(count, 1).long(), torch.ones(count, 1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model.detector), "forward", lambda self, images: perfect(images))
        assert model.score(data) == pytest.approx(1.0)
        patch.setattr(
            type(model.detector),
            "forward",
            lambda self, images: (*perfect(images)[:2], torch.zeros(len(images), 1)),
        )
        assert model.score(data) == 0.0
