"""Classification and segmentation from labels, few labels included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

import triscope
from triscope.errors import BadLabels, BadSettings, NotFitted
from triscope.kernel import catalogue
from triscope.kernel.data import BoxLabel, Dataset, Sample
from triscope.kernel.export.graphs import graphs_of
from triscope.kernel.export.onnx import write_onnx
from triscope.kernel.train import Plan, train
from triscope.surface.labelled import evenly
from triscope.surface.models import _segmentation
from triscope.surface.models.semi import balanced

SEGMENTERS = ("unet", "deeplab", "mixed", "semi")
NAMES = ("classifier", *SEGMENTERS)
OWN: dict[str, dict[str, Any]] = {
    "classifier": {"width": 8},
    "deeplab": {"width": 16, "low": 8, "rates": (1, 2)},
    "unet": {"widths": (16, 16, 8, 8, 8)},
    "mixed": {"widths": (16, 16, 8, 8, 8)},
    "semi": {"widths": (16, 16, 8, 8, 8), "decay": 0.5},
}


def tiny(name: str, **changes: Any) -> Any:
    base = {
        "backbone": "resnet10t",
        "weights": "random:0",
        "size": 64,
        "steps": 40,
        "batch": 4,
        "learning_rate": 1e-2,
        "warm_up": 0,
        "augment": False,
    }
    return catalogue.load(name)(catalogue.settings_class(name)(**{**base, **OWN[name], **changes}))


def parts(count: int = 12, seed: int = 0, drawn: int | None = None) -> Dataset:
    """Grey parts, every other one with a bright spot; the first ``drawn`` spots have masks."""
    rng = np.random.default_rng(seed)
    samples = []
    for i in range(count):
        image = rng.integers(100, 120, (64, 64), np.uint8)
        if i % 2:
            samples.append(Sample(image, f"good{i}", "good", split="train"))
            continue
        y, x = rng.integers(8, 36, 2)
        mask = np.zeros((64, 64), np.bool_)
        mask[y : y + 20, x : x + 20] = True
        image[mask] = 230
        known = mask if drawn is None or i // 2 < drawn else None
        samples.append(Sample(image, f"spot{i}", "spot", known, split="train"))
    return Dataset(tuple(samples), root="parts", classes=("good", "spot"))


def taught(name: str, data: Dataset, **changes: Any) -> Any:
    model = tiny(name, **changes)
    model.begin(data)
    plan = Plan.of(model.settings, accelerator="cpu")
    train(model, model.batches(data, "train", 0), plan)
    return model


def pixels(outputs: Any) -> torch.Tensor:
    return outputs[0] if isinstance(outputs, tuple) else outputs


@pytest.mark.parametrize("name", SEGMENTERS)
def test_spots_are_drawn(name: str) -> None:
    model = taught(name, parts(drawn=4 if name in ("mixed", "semi") else None))
    assert model.classes == ("spot",) and model.card() == {"classes": ("spot",)}
    other = parts(6, seed=1)
    batch = model.batches(other, "test", 0)(0)[0]
    with torch.inference_mode():
        found = pixels(model.graph()(batch["images"])) > 0
    truth = batch["masks"] > 0.5
    assert found.shape == truth.shape
    dice = 2 * float((found & truth).sum()) / float(found.sum() + truth.sum())
    assert dice > 0.6, dice


def test_the_classifier_tells_spots_and_shows_where() -> None:
    model = taught("classifier", parts())
    assert model.classes == ("good", "spot")
    data = parts(8, seed=2)
    assert model.score(data) >= 0.75
    batch = model.batches(data, "test", 0)(0)[0]
    with torch.inference_mode():
        logits, cam = model.graph()(batch["images"])
    head = model.net.head
    assert torch.allclose(logits, cam.mean((2, 3)) + head.bias, atol=1e-5)


def test_the_decision_of_mixed_tells_images_without_masks() -> None:
    model = taught("mixed", parts(drawn=2), steps=60, decision=1.0)
    data = parts(8, seed=3)
    batch = model.batches(data, "test", 0)(0)[0]
    with torch.inference_mode():
        _, score = model.graph()(batch["images"])
    spots = batch["labels"][:, 0] > 0
    assert score.shape == (4,) and ((score >= 0) & (score <= 1)).all()
    if spots.any() and (~spots).any():
        assert score[spots].mean() > score[~spots].mean()


@pytest.mark.parametrize("name", NAMES)
def test_weights_travel_and_onnx_answers_as_torch(name: str, tmp_path: Path) -> None:
    model = taught(name, parts(), steps=2)
    other = tiny(name)
    with pytest.raises(NotFitted, match=f"{name} does not know its classes yet: call fit"):
        other.graph()
    other.begin(Dataset((), classes=model.classes))
    with pytest.raises(NotFitted, match=f"{name} has not been trained"):
        other.graph()
    other.restore(model.weights())
    answers = catalogue.entry(name).answers
    graph = graphs_of(other, answers, (64, 64))["model"]
    write_onnx(graph, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(
        tmp_path / "model.onnx", providers=["CPUExecutionProvider"]
    )
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = model.graph()(images)
    expected = expected if isinstance(expected, tuple) else (expected,)
    for ours, theirs in zip(expected, session.run(None, {"images": images.numpy()}), strict=True):
        assert np.allclose(ours.numpy(), theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["unet", "semi", "ddn"])
def test_windows_are_learned_where_inspection_cuts_some(name: str) -> None:
    """At the scale of the capture, at least half of them at a label."""
    image = np.zeros((40, 200), np.uint8)
    image[16:24, 150:158] = 255
    mask = image > 0
    boxes = (BoxLabel("spot", (150.0, 16.0, 158.0, 24.0)),)
    data = Dataset((Sample(image, "spot", "spot", mask, boxes, split="train"),), classes=("spot",))
    settings = {"size": 64, "augment": False, "batch": 1, "backbone": "resnet10t"}
    own = OWN.get(name, {"training": "joint", "width": 8, "hidden": 8})
    cls = catalogue.settings_class(name)
    model = catalogue.load(name)(cls(weights="random:0", **settings, **own))
    model.at_windows(64)
    model.begin(data)
    batches = model.batches(data, "train", 0)
    found = [batches(epoch)[0] for epoch in range(12)]
    areas = [round(float((batch["images"][0, 0] > 0.9).sum())) for batch in found]
    assert sum(area >= 64 for area in areas) >= 4, areas
    if name == "ddn":
        places = torch.cat([batch["boxes"][0] for batch in found])
        assert len(places) >= 4 and bool((places[:, 2:] - places[:, :2] == 8).all())
    else:
        assert [round(float(batch["masks"].sum())) for batch in found] == areas


@pytest.mark.parametrize("name", ["classifier", "mixed"])
def test_labels_of_whole_images_are_not_those_of_windows(name: str) -> None:
    with pytest.raises(BadSettings, match=rf"tile=32: {name} learns what whole images are called"):
        triscope.fit(name, parts(), {"weights": "random:0"}, calibrate=0, tile=32)


def test_losses_are_those_of_the_formulas() -> None:
    logits = torch.tensor([2.0, -1.0, 0.5, -3.0]).view(1, 1, 2, 2)
    masks = torch.tensor([1.0, 0.0, 0.0, 1.0]).view(1, 1, 2, 2)
    p, m = 1 / (1 + np.exp(-logits.numpy())), masks.numpy()
    dice = 1 - (2 * (p * m).sum() + 1) / (p.sum() + m.sum() + 1)
    entropy = -(m * np.log(p) + (1 - m) * np.log(1 - p))
    focal = (np.abs(p - m) ** 2 * entropy).sum() / m.sum()
    assert float(_segmentation.dice_loss(logits, masks)) == pytest.approx(dice, rel=1e-5)
    assert float(_segmentation.focal_loss(logits, masks, 2.0)) == pytest.approx(focal, rel=1e-5)


def test_classes_that_a_batch_does_not_show_are_left_out_of_its_dice() -> None:
    logits = torch.full((1, 2, 4, 4), -2.0, requires_grad=True)
    masks = torch.zeros(1, 2, 4, 4)
    masks[0, 0, :2] = 1
    loss = _segmentation.dice_loss(logits, masks)
    chance = 1 / (1 + np.exp(2))
    assert float(loss.detach()) == pytest.approx(
        1 - (16 * chance + 1) / (16 * chance + 9), rel=1e-5
    )
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None and not logits.grad[0, 1].any() and logits.grad[0, 0].all()
    assert float(_segmentation.dice_loss(logits, torch.zeros(1, 2, 4, 4)).detach()) == 0


def test_each_class_is_drawn_equally_often() -> None:
    order = np.random.default_rng(0).permutation(20)
    labels = ["rare" if i < 2 else "dent" if i < 6 else "good" for i in order]
    drawn = evenly(order, labels)
    named = ["rare" if i < 2 else "dent" if i < 6 else "good" for i in drawn]
    assert len(drawn) == 20 and named[:6] == ["dent", "good", "rare"] * 2
    goods = [i for i in drawn if i >= 6]
    assert len(goods) == len(set(goods)) == 7 and set(drawn[2::3]) == {0, 1}
    model = tiny("unet", classes=("spot",), batch=2)
    batches = model.batches(parts(12), "train", 0)
    assert all(float(batch["labels"].sum()) == 1 for batch in batches(0))
    assert not tiny("unet", classes=("spot",), balance=False).batches(parts(), "train", 0).balance


def test_the_rarer_kind_is_repeated() -> None:
    data = parts(10, drawn=1)
    rows = balanced(data.samples)
    assert sum(sample.mask is not None for sample in rows) == len(rows) / 2
    assert {sample.name for sample in rows} == {sample.name for sample in data}


def test_data_without_what_is_needed_is_refused() -> None:
    good = Dataset((Sample("a.png", "a", "good"),), root="parts")
    with pytest.raises(BadLabels, match="unet learns from masks, but none of the 1 images"):
        tiny("unet").begin(good)
    with pytest.raises(BadLabels, match="mixed decides between good and defective images"):
        tiny("mixed").begin(good)
    with pytest.raises(BadLabels, match="classifier learns to tell classes, but parts names good"):
        tiny("classifier").begin(good)
