"""What every model that answers heat maps must hold; new ones are found in the catalogue.

The golden numbers stand in ``golden/NAME.json``. After a change that is meant, write them again:
``TRISCOPE_ACCEPT=1 python -m pytest tests/test_every_model.py -k golden``.
"""

from __future__ import annotations

import json
import os
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import triscope
from triscope.kernel import catalogue
from triscope.kernel.data import Sample

GOLDEN = Path(__file__).parent / "golden"
SIZE = 64
# Small enough for a test; each model takes those that it knows.
SMALL = {"size": SIZE, "steps": 30, "batch": 4, "width": 0.125, "keep": 0.1}
NAMES = tuple(name for name, e in catalogue.models().items() if e.answers == "Heatmap")
Images = np.ndarray[Any, Any]


def parts(count: int, seed: int) -> list[Images]:
    """Woven cloth, uint8 (SIZE, SIZE, 3): stripes with a chance shift and a little noise."""
    rng = np.random.default_rng(seed)
    places = 2 * np.pi / 8 * np.arange(SIZE)
    images = []
    for _ in range(count):
        down, across = np.sin(places + rng.uniform(0, 6)), np.sin(places + rng.uniform(0, 6))
        weave = 128 + 50 * down[:, None, None] + 50 * across[None, :, None]
        tinted = weave * np.array([1.0, 0.9, 0.7]) + rng.normal(0, 5, (SIZE, SIZE, 3))
        images.append(tinted.clip(0, 255).astype(np.uint8))
    return images


def damaged(images: list[Images]) -> list[Images]:
    """Copies with a pale smear of 12 x 12 pixels at row 24 and column 28."""
    copies = [image.copy() for image in images]
    for copy in copies:
        copy[24:36, 28:40] = (230, 51, 77)
    return copies


@cache
def fitted(name: str, run: int = 0) -> Any:
    """The check of this model on 16 good parts; ``run`` makes another of the same."""
    known = {f.name for f in fields(catalogue.settings_class(name))}
    settings = {key: value for key, value in SMALL.items() if key in known}
    return triscope.fit(name, parts(16, 0), settings, calibrate=0, accelerator="cpu")


def answers(check: Any, images: list[Images]) -> tuple[np.ndarray, np.ndarray]:
    """Heat maps (b, h, w) and scores (b,) of all images in one batch."""
    inputs = np.concatenate([check.prepare(Sample(i, "part")).inputs["images"] for i in images])
    found = check.engines["model"].run({"images": inputs})
    return found["heat"], found["score"]


@pytest.mark.parametrize("name", NAMES)
def test_fitting_again_gives_the_same(name: str) -> None:
    images = damaged(parts(2, 3))
    one, two = (answers(fitted(name, run), images) for run in (0, 1))
    assert np.array_equal(one[0], two[0]) and np.array_equal(one[1], two[1])


@pytest.mark.parametrize("name", NAMES)
def test_a_planted_defect_scores_higher_and_is_found(name: str) -> None:
    good = parts(8, 1)
    heat, scores = answers(fitted(name), good)
    bad_heat, bad_scores = answers(fitted(name), damaged(good))
    assert heat.shape == (8, SIZE, SIZE) and heat.dtype == scores.dtype == np.float32
    assert bad_scores.min() > scores.max()
    rows, columns = np.unravel_index(bad_heat.reshape(8, -1).argmax(1), (SIZE, SIZE))
    assert ((rows > 17) & (rows < 43) & (columns > 21) & (columns < 47)).all()


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_depends_neither_on_its_batch_nor_changes_its_input(name: str) -> None:
    images = damaged(parts(3, 2))
    before = [image.copy() for image in images]
    heat, scores = answers(fitted(name), images)
    for i, image in enumerate(images):
        one_heat, one_score = answers(fitted(name), [image])
        assert np.allclose(one_heat[0], heat[i], rtol=1e-4, atol=1e-5 * heat.max())
        assert np.allclose(one_score, scores[i], rtol=1e-4)
    assert all(np.array_equal(a, b) for a, b in zip(images, before, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_the_saved_folder_answers_as_the_library(name: str, tmp_path: Path) -> None:
    check = fitted(name)
    images = damaged(parts(3, 4))
    expected = {count: answers(check, images[:count]) for count in (1, 3)}
    check.save(tmp_path / "check")
    opened = triscope.open(tmp_path / "check")
    assert opened.card.model == name and opened.card.answers == "Heatmap"
    for count, (heat, scores) in expected.items():
        found = answers(opened, images[:count])
        assert np.allclose(found[0], heat, atol=1e-4 * heat.max())
        assert np.allclose(found[1], scores, rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_golden_numbers(name: str) -> None:
    heat, scores = answers(fitted(name), [*parts(1, 5), *damaged(parts(1, 5))])
    means = heat.reshape(2, 8, SIZE // 8, 8, SIZE // 8).mean((2, 4))[:, ::3, ::3]  # (2, 3, 3)
    found = {"scores": scores, "places": means}
    path = GOLDEN / f"{name}.json"
    if os.environ.get("TRISCOPE_ACCEPT"):
        path.parent.mkdir(exist_ok=True)
        short = {key: [float(f"{x:.5g}") for x in v.ravel()] for key, v in found.items()}
        path.write_text(json.dumps(short, indent=1) + "\n", encoding="utf-8")
    assert path.is_file(), f"no golden numbers of {name}: see the head of this file"
    stored = json.loads(path.read_text(encoding="utf-8"))
    # Training amplifies what another processor rounds otherwise.
    room = 0.05 if hasattr(catalogue.load(name), "losses") else 1e-3
    for key, values in found.items():
        expected = np.array(stored[key]).reshape(values.shape)
        assert np.allclose(values, expected, rtol=room, atol=room * np.abs(expected).max())
