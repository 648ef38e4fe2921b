"""Smaller networks: channels that carry nothing go without a trace, students learn answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import triscope
from triscope.errors import UsageError
from triscope.kernel import catalogue
from triscope.kernel.data import BoxLabel, Dataset, Sample
from triscope.surface.compress.channels import best, fit_shapes
from triscope.surface.compress.distil import Distilling, Lesson, softened
from triscope.surface.compress.groups import groups_of
from triscope.surface.compress.prune import Pruning, prune
from triscope.surface.compress.running import compress, restored, table

DETECTOR: dict[str, Any] = {
    "hidden": 16,
    "anchors": (20.0,),
    "proposals": 10,
    "threshold": 0.01,
    "training": "joint",
}
CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "mobilenet": ("ddn", {**DETECTOR, "backbone": "mobilenetv2_035", "width": 16}, "expansion"),
    "after": ("ddn", {**DETECTOR, "width": 8, "placement": "after"}, "neck.join"),
    "hyper": ("ddn", {**DETECTOR, "width": 8, "placement": "hyper"}, "neck.branch0"),
    "bottleneck": ("classifier", {"backbone": "resnet14t", "width": 16}, "inner2"),
    "plain": ("classifier", {"fusion": False}, "inner"),
    "unet": ("unet", {"widths": (16, 16, 12, 8, 8)}, "ups4"),
    "mixed": ("mixed", {"widths": (16, 16, 12, 8, 8)}, "body.ups4"),
    "fpn": ("faster_rcnn", {**DETECTOR, "form": "fpn"}, "rpn.hidden"),
}


def built(case: str) -> Any:
    name, values, _ = CASES[case]
    base = {"backbone": "resnet10t", "weights": "random:0", "size": 64}
    model = catalogue.load(name)(catalogue.settings_class(name)(**{**base, **values}))
    model.begin(Dataset((), classes=("good", "dent", "spot")))
    return model


def answers(net: Any, images: torch.Tensor) -> list[torch.Tensor]:
    """All that the network says, before anything is sorted or cut."""
    net.eval()
    with torch.inference_mode():
        if not hasattr(net, "rpn"):
            found = net(images)
            return list(found) if isinstance(found, tuple) else [found]
        maps = net.maps(images)
        slid = net.rpn(maps, (64, 64))
        regions = torch.tensor([[0, 4.0, 4, 40, 50], [1, 10, 0, 60, 30]])
        return [*net.head(maps, regions, (64, 64)), *slid.logits, *slid.offsets]


@pytest.mark.parametrize("case", CASES)
def test_removing_channels_that_carry_nothing_changes_no_answer(case: str) -> None:
    net, how = built(case).net, Pruning(share=0.4)
    torch.manual_seed(0)
    with torch.no_grad():
        for group in groups_of(net):
            kept = best(group.importance("l1"), how.share, min(4, group.count))
            gone = sorted({*range(group.count)} - {*kept.tolist()})
            for layer in (group.maker, *group.between):
                for values in (layer.weight, layer.bias):
                    if values is not None:
                        values[gone] = 0
    images = torch.rand(2, 3, 64, 64)
    before, size = answers(net, images), sum(p.numel() for p in net.parameters())
    counts = prune(net, how)
    assert any(name.endswith(CASES[case][2]) for name in counts), counts
    assert all(after <= before for before, after in counts.values())
    assert sum(p.numel() for p in net.parameters()) < 0.95 * size
    for ours, theirs in zip(answers(net, images), before, strict=True):
        assert ours.shape == theirs.shape
        assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-4), (ours - theirs).abs().max()


def test_the_weakest_channels_go_and_their_number_suits_vector_units() -> None:
    values = torch.tensor([5.0, 1, 4, 2, 8, 7, 3, 6])
    assert best(values, 0.5, 4).tolist() == [0, 4, 5, 7]
    assert best(values, 0.99, 4).tolist() == [0, 4, 5, 7]
    assert best(values, 0.1, 1).tolist() == [0, 2, 3, 4, 5, 6, 7]
    group = groups_of(built("plain").net)[0]
    with torch.no_grad():
        group.between[0].weight.copy_(torch.arange(group.count) + 1.0)
        group.maker.weight.copy_(torch.flip(group.maker.weight, [0]))
    assert group.importance("scale").argmax() == group.count - 1
    assert not torch.equal(group.importance("l1").argsort(), group.importance("scale").argsort())


def test_shapes_come_back_from_the_weights() -> None:
    pruned, fresh = built("mobilenet"), built("mobilenet")
    prune(pruned.net, Pruning(share=0.5))
    weights = pruned.weights()
    fit_shapes(fresh.parts, weights)
    fresh.restore(weights)
    images = torch.rand(2, 3, 64, 64)
    for ours, theirs in zip(answers(fresh.net, images), answers(pruned.net, images), strict=True):
        assert torch.equal(ours, theirs)


def test_nothing_to_prune_and_no_lesson_are_told() -> None:
    with pytest.raises(UsageError, match=r"nothing in .*Linear can be pruned"):
        prune(torch.nn.Linear(2, 2), Pruning())
    model = built("unet")
    with pytest.raises(UsageError, match="unet cannot be distilled: only classifiers"):
        Lesson(model, built("unet").net, Distilling())


def test_a_perfect_student_has_nothing_to_learn() -> None:
    logits = torch.tensor([[1.0, 2, 3], [0, 0, 5]])
    assert float(softened(logits, logits, 2.0)) == pytest.approx(0, abs=1e-6)
    p, q = torch.softmax(logits / 2, 1), torch.full((2, 3), 1 / 3)
    expected = (p * (p / q).log()).sum(1).mean() * 4
    assert float(softened(torch.zeros(2, 3), logits, 2.0)) == pytest.approx(float(expected))


@pytest.mark.parametrize("case", ["mobilenet", "bottleneck"])
def test_the_lesson_reaches_the_student_and_spares_the_teacher(case: str) -> None:
    student, teacher = built(case), built(case).net
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter.mul_(1.1)
    kept = {k: v.clone() for k, v in teacher.state_dict().items()}
    lesson = Lesson(student, teacher, Distilling())
    student.network().train()
    batch: dict[str, Any] = {"images": torch.rand(2, 3, 64, 64), "labels": torch.tensor([0, 1])}
    if case == "mobilenet":
        batch["boxes"] = [torch.tensor([[4.0, 4, 30, 30]])] * 2
        batch["labels"] = [torch.tensor([0]), torch.tensor([1])]
    losses = lesson.losses(batch)
    assert float(losses["answers"].detach()) > 0 and float(losses["features"].detach()) > 0
    losses["loss"].backward()
    assert lesson.adapt.weight.grad is not None
    first = next(p for p in student.net.stages.parameters() if p.requires_grad)
    assert first.grad is not None and bool(first.grad.abs().sum() > 0)
    assert all(torch.equal(kept[k], v) for k, v in teacher.state_dict().items())
    assert all(p.grad is None for p in teacher.parameters())


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """good/ and spot/, with splits."""
    folder = tmp_path_factory.mktemp("parts")
    rng = np.random.default_rng(0)
    for i in range(28):
        image = rng.integers(100, 120, (64, 64), np.uint8)
        if i % 2:
            y, x = rng.integers(4, 36, 2)
            image[y : y + 24, x : x + 24] = 230
        place = folder / ("train" if i < 20 else "test") / ("spot" if i % 2 else "good")
        place.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place / f"{i}.png"), image)
    return folder


@pytest.fixture(scope="module")
def check(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checks") / "whole"
    settings = {
        "backbone": "resnet10t",
        "weights": "random:0",
        "size": 64,
        "width": 16,
        "steps": 20,
        "warm_up": 0,
        "batch": 4,
        "learning_rate": 1e-2,
        "augment": False,
    }
    triscope.fit("classifier", parts, settings, out=folder)
    return folder


def test_a_pruned_check_is_smaller_tuned_proven_and_can_be_pruned_again(
    check: Path, parts: Path, tmp_path: Path
) -> None:
    whole = triscope.open(check)
    made = compress(whole, parts, tmp_path / "half", Pruning(share=0.5), {"steps": 8})
    record = triscope.open(tmp_path / "half").card.proof["compression"]
    before, after = record["before"], record["after"]
    assert after["parameters"] < 0.7 * before["parameters"]
    assert after["bytes"] < 0.75 * before["bytes"] and after["cpu_ms"] > 0
    assert after["images"] == 8 and before["accuracy"] > 0.6 and after["accuracy"] > 0.6
    assert made.card.settings == whole.card.settings and made.card.zones is not None
    held = {image.hash for image in whole.seen.of("calibrate")}
    assert {image.hash for image in made.seen.of("calibrate")} == held
    assert not held & {image.hash for image in made.seen.of("train")}
    rows = list(table(record))
    assert rows[0][0] == "graph" and rows[-1][0] == "accuracy"
    again = restored(triscope.open(tmp_path / "half"))
    assert sum(p.numel() for p in again.net.parameters()) == after["parameters"]


def test_the_verb_distils_and_says_what_changed(
    check: Path, parts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from triscope.cli import main

    out = tmp_path / "small"
    words = ["compress", str(check), str(parts), "-o", str(out), "--method", "distil"]
    words += ["--set", "width=8", "--weights", "random:0", "--steps", "4", "--json"]
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["compression"]["method"] == "distil"
    sides = answer["compression"]
    assert sides["after"]["parameters"] < sides["before"]["parameters"]
    assert triscope.open(out).card.settings["width"] == 8


def test_what_cannot_be_compressed_is_told(check: Path, parts: Path, tmp_path: Path) -> None:
    whole = triscope.open(check)
    with pytest.raises(UsageError, match="a distillation needs a smaller network"):
        compress(whole, parts, tmp_path / "same", Distilling())
    good = [np.full((64, 64), v, np.uint8) for v in range(90, 96)]
    settings = {"size": 64, "backbone": "resnet10t", "weights": "random:0"}
    other = triscope.fit("padim", good, settings, out=tmp_path / "padim", calibrate=0)
    with pytest.raises(UsageError, match="padim cannot be compressed: only models that learn"):
        compress(other, parts, tmp_path / "no", Pruning())


@pytest.mark.long
def test_detectors_are_tuned_as_a_whole(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    samples = []
    for i in range(6):
        image = rng.integers(90, 120, (64, 64), np.uint8)
        image[10 + i : 30 + i, 12:32] = 230
        boxes = (BoxLabel("spot", (12.0, 10.0 + i, 32.0, 30.0 + i)),)
        samples.append(Sample(image, f"{i}", "spot", boxes=boxes))
    settings = {**DETECTOR, "backbone": "resnet10t", "weights": "random:0", "size": 64, "width": 8}
    # Hardly trained: nothing is answered, since equal scores may come in any order.
    settings |= {"training": "five_steps", "steps": 5, "batch": 2, "threshold": 0.99}
    settings |= {"warm_up": 3}  # longer than each of the five steps
    whole = triscope.fit("ddn", samples, settings, out=tmp_path / "whole", calibrate=0.3)
    made = compress(whole, samples, tmp_path / "half", Pruning(share=0.5), {"steps": "2"})
    record = made.card.proof["compression"]
    assert record["steps"] == 2 and "map_50" not in record["after"]  # everything was met
    assert record["after"]["parameters"] < record["before"]["parameters"]
