"""Labelled data to a check on the disk and back, by the verbs, for each kind of answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import triscope
from triscope.errors import EmptyData
from triscope.kernel import catalogue, config
from triscope.kernel.data import BoxLabel, Dataset, Sample
from triscope.surface.auto import choose

BASE = {"backbone": "resnet10t", "weights": "random:0", "size": 64, "batch": 4, "warm_up": 0}
SETTINGS: dict[str, dict[str, Any]] = {
    "ddn": {
        **BASE,
        "norm": "batch",
        "width": 8,
        "hidden": 8,
        "anchors": (20.0,),
        "proposals": 10,
        "threshold": 0.01,
        "training": "five_steps",
        "steps": 10,
        "optimizer": "adamw",
    },
    "unet": {
        **BASE,
        "widths": (8, 8, 8, 8, 8),
        "steps": 60,
        "learning_rate": 1e-2,
        "augment": False,
    },
    "classifier": {**BASE, "width": 8, "steps": 25, "learning_rate": 1e-2},
}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Forty grey parts on the disk; every other one shows a bright spot, boxed and drawn."""
    folder = tmp_path_factory.mktemp("parts")
    rng = np.random.default_rng(0)
    samples = []
    for i in range(40):
        image = rng.integers(100, 120, (60, 80), np.uint8)
        split = "train" if i < 24 else "test"
        path = folder / f"{i}.png"
        if i % 2:
            cv2.imwrite(str(path), image)
            samples.append(Sample(str(path), path.name, "good", split=split))
            continue
        y, x = int(rng.integers(6, 34)), int(rng.integers(6, 54))
        mask = np.zeros(image.shape, np.bool_)
        mask[y : y + 20, x : x + 20] = True
        image[mask] = 230
        cv2.imwrite(str(path), image)
        box = BoxLabel("spot", (float(x), float(y), x + 20.0, y + 20.0))
        samples.append(Sample(str(path), path.name, "spot", mask, (box,), split=split))
    return Dataset(tuple(samples), root=str(folder), classes=("spot",))


@pytest.mark.parametrize("name", SETTINGS)
def test_fit_save_open_inspect_evaluate(name: str, parts: Dataset, tmp_path: Path) -> None:
    data = parts
    if name == "classifier":
        data = Dataset(parts.samples, parts.root, parts.layout, ("good", "spot"))
    check = triscope.fit(name, data, SETTINGS[name], out=tmp_path / name, calibrate=0.25)
    opened = triscope.open(tmp_path / name)
    assert opened.card.classes == (("good", "spot") if name == "classifier" else ("spot",))
    test = parts.split("test").samples
    for sample in test[:2]:
        ours, theirs = check.inspect(sample.source), opened.inspect(sample.source)
        assert ours.score == pytest.approx(theirs.score, abs=1e-3)
        assert [f.label for f in ours.findings] == [f.label for f in theirs.findings]
        for finding in theirs.findings:
            if finding.box is not None:
                x0, y0, x1, y1 = finding.box
                assert 0 <= x0 <= x1 <= 80 and 0 <= y0 <= y1 <= 60
    measured = opened.evaluate(data).known
    assert measured is not None
    if name == "ddn":
        assert measured["images"] == 16 and measured["classes"][0]["truths"] == 8
    elif name == "unet":
        assert measured["dice"] > 0.5
    else:
        assert np.array(measured["matrix"]).sum() == 16 and measured["accuracy"] > 0.6


def test_the_choice_follows_the_labels() -> None:
    good = [Sample(f"g{i}", f"g{i}", "good") for i in range(6)]
    plain = [Sample(f"d{i}", f"d{i}", "dent") for i in range(6)]
    drawn = [Sample(f"m{i}", f"m{i}", "dent", mask="m.png") for i in range(4)]
    boxed = [Sample("b", "b", "dent", boxes=(BoxLabel("dent", (0, 0, 5, 5)),))]
    unknown = [Sample(f"u{i}", f"u{i}") for i in range(9)]

    def picked(*samples: Sample) -> str:
        return choose(Dataset(samples)).name

    assert picked(*good) == picked(*unknown) == "patchcore"
    assert picked(*good, *plain) == "classifier"
    assert picked(*good, *boxed) == "ddn"
    assert picked(*good, *drawn) == picked(*drawn) == "unet"
    assert picked(*good, *plain, *drawn) == "mixed"
    assert picked(*drawn, *unknown) == "semi"
    assert "4 of 10 defective images have masks" in choose(Dataset((*good, *plain, *drawn))).why
    with pytest.raises(EmptyData, match="parts holds no image to learn from"):
        choose(Dataset((), root="parts"))


@pytest.mark.parametrize("gpu", [False, True])
def test_a_machine_without_a_gpu_gets_settings_that_end(
    gpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
    boxed = Sample("b", "b", "dent", boxes=(BoxLabel("dent", (0, 0, 5, 5)),))
    choice = choose(Dataset((boxed,)))
    assert ("ddn-cpu" in choice.why) is not gpu
    settings = config.build(catalogue.settings_class("ddn"), choice.settings)
    assert (settings.size, settings.training) == ((600, "five_steps") if gpu else (320, "joint"))


def test_auto_fits_what_it_chose(parts: Dataset) -> None:
    few = Dataset(tuple(s for s in parts if s.good), parts.root)
    check = triscope.fit("auto", few, {"size": 64}, calibrate=0)
    assert check.card.model == "patchcore"


@pytest.mark.parametrize("name", catalogue.recipes())
def test_each_recipe_fits_its_model(name: str) -> None:
    model = name.partition("-")[0]
    built = config.build(catalogue.settings_class(model), catalogue.recipe_settings(name))
    if name == "ddn":  # the published settings are the defaults
        default = config.to_dict(catalogue.settings_class("ddn")())
        assert config.to_dict(built) == {**default, "drop_at": 0.6667}
