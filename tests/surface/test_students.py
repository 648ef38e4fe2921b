"""What holds for each of the models that compare a student with a teacher."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from distilled import NAMES, SHORT, SIZE, TINY, answers, damaged, taught, textures

from triscope.errors import NotFitted, WeightsMismatch
from triscope.kernel import catalogue


@cache
def trained(name: str) -> Any:
    return taught(SHORT[name](), textures(24))


@pytest.mark.parametrize("name", NAMES)
def test_the_catalogue_finds_it(name: str) -> None:
    entry = catalogue.entry(name)
    assert entry.answers == "Heatmap" and "arXiv:" in entry.summary
    assert catalogue.load(name).__name__ == entry.attribute
    assert catalogue.settings_class(name)().seed == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_planted_defect_scores_higher_and_is_found(name: str) -> None:
    good = textures(8, seed=1)
    graph = trained(name).graph()
    heat, scores = answers(graph, good)
    bad_heat, bad_scores = answers(graph, damaged(good))
    assert heat.shape == (8, SIZE, SIZE) and heat.dtype == scores.dtype == np.float32
    assert bad_scores.min() > scores.max()
    rows, columns = np.unravel_index(bad_heat.reshape(8, -1).argmax(1), (SIZE, SIZE))
    assert ((rows > 17) & (rows < 43) & (columns > 21) & (columns < 47)).all()
    assert np.array_equal(scores, heat.reshape(8, -1).max(1))


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_depends_neither_on_its_batch_nor_on_the_run(name: str) -> None:
    images = damaged(textures(5, seed=2))
    before = images.clone()
    graph = trained(name).graph()
    heat, scores = answers(graph, images)
    for i in range(5):
        one_heat, one_score = answers(graph, images[i : i + 1])
        assert np.allclose(one_heat[0], heat[i], atol=1e-5)
        assert np.allclose(one_score, scores[i], atol=1e-5)
    assert torch.equal(images, before)
    assert np.array_equal(answers(trained(name).graph(), images)[0], heat)


@pytest.mark.parametrize("name", NAMES)
def test_weights_bring_the_answers_back(name: str) -> None:
    images = damaged(textures(2, seed=4))
    model, other = trained(name), SHORT[name](seed=9)
    with pytest.raises(NotFitted, match=f"{name} has not been trained: call fit"):
        other.graph()
    weights = model.weights()
    places = {value.data_ptr() for value in weights.values() if value.numel()}
    assert len(places) == len(weights) and all(v.is_contiguous() for v in weights.values())
    other.restore(weights)
    for one, two in zip(
        answers(model.graph(), images), answers(other.graph(), images), strict=True
    ):
        assert np.array_equal(one, two)
    first = next(iter(weights))
    with pytest.raises(WeightsMismatch, match=f"not of this {name}: 1 keys .*{first}"):
        other.restore({k: v for k, v in weights.items() if k != first})


class Killed(Exception):
    """Stands for a process that ends without a word."""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("at", [3, 6])
def test_a_killed_training_goes_on_with_the_same_numbers(
    name: str, at: int, tmp_path: Path
) -> None:
    def kill(step: int, steps: int, losses: object) -> None:
        if step == at:
            raise Killed

    images = textures(6, seed=5)
    whole = taught(SHORT[name](steps=9), images)
    with pytest.raises(Killed):
        taught(SHORT[name](steps=9), images, tmp_path, kill)
    resumed = taught(SHORT[name](steps=9), images, tmp_path)
    one, two = whole.weights(), resumed.weights()
    assert one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [64, 75, 100])
def test_odd_sizes(name: str, size: int) -> None:
    images = textures(2, seed=6, size=size)
    model = taught(SHORT[name](size=size, steps=2, batch=2, **TINY), images)
    heat, scores = answers(model.graph(), images)
    assert heat.shape == (2, size, size) and np.isfinite(heat).all() and np.isfinite(scores).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_frozen_parts_stay_as_they_were(name: str) -> None:
    model = SHORT[name](steps=4)
    frozen = {
        key: value.clone()
        for part in ("teacher", "tap")
        if part in model.parts and part in model.parts.frozen
        for key, value in model.parts[part].state_dict().items()
    }
    part = "teacher" if "teacher" in model.parts.frozen else "tap"
    taught(model, textures(4))
    after = model.parts[part].state_dict()
    assert frozen.keys() == after.keys() and all(torch.equal(frozen[k], after[k]) for k in frozen)
