"""Boxes, proposals, heads and the phases of the two-stage detectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from triscope.errors import BadLabels, BadSettings, NotFitted, WeightsMissing
from triscope.kernel import catalogue
from triscope.kernel.data import BoxLabel, Dataset, Sample
from triscope.kernel.export.graphs import graphs_of
from triscope.kernel.export.onnx import write_onnx
from triscope.kernel.nn.tap import tap
from triscope.kernel.train import Plan, train
from triscope.surface.models import _boxes, _roi, _rpn
from triscope.surface.models._necks import MultilevelFusion
from triscope.surface.models._two_stage import FIVE, FROZEN, PARTS

NAMES = ("ddn", "faster_rcnn", "hypernet")
TINY: dict[str, Any] = {
    "backbone": "resnet10t",
    "weights": "random:0",
    "norm": "batch",
    "size": 64,
    "anchors": (20.0,),
    "proposals": 20,
    "sampled_regions": 16,
    "hidden": 16,
    "steps": 60,
    "batch": 4,
    "optimizer": "adamw",
    "learning_rate": 4e-3,
    "schedule": "constant",
    "training": "joint",
}


# The hidden layers of HyperNet's heads end at chance at the rate that suits the plain ones: it
# learns at that of the recipes for CPUs, and longer. The last stage of the backbone, which Faster
# R-CNN runs on each region, is the dear part: fewer regions.
BLOBS: dict[str, dict[str, Any]] = {
    "ddn": {"steps": 80},
    "faster_rcnn": {"steps": 80, "sampled_regions": 8},
    "hypernet": {"steps": 160, "learning_rate": 5e-4},
}


def tiny(name: str, **changes: Any) -> Any:
    width = {"ddn": {"width": 16}, "hypernet": {"width": 16}}.get(name, {})
    settings = catalogue.settings_class(name)(**{**TINY, **width, **changes})
    return catalogue.load(name)(settings)


def painted(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Batches of four grey squares with a bright or a dark blob of known place."""
    rng = np.random.default_rng(seed)
    batches = []
    for _ in range(count):
        images, boxes, labels = [], [], []
        for _ in range(4):
            image = np.full((64, 64), 0.5, np.float32) + rng.normal(0, 0.02, (64, 64))
            x, y, side = rng.integers(4, 36), rng.integers(4, 36), rng.integers(14, 24)
            label = int(rng.integers(2))
            image[y : y + side, x : x + side] = 0.95 if label else 0.05
            images.append(torch.from_numpy(image.astype(np.float32)).expand(3, -1, -1))
            boxes.append(torch.tensor([[x, y, x + side, y + side]], dtype=torch.float32))
            labels.append(torch.tensor([label]))
        batches.append({"images": torch.stack(images), "boxes": boxes, "labels": labels})
    return batches


def test_anchors_have_the_areas_and_ratios_asked_for() -> None:
    cells = _boxes.cell_anchors((64.0, 128.0, 256.0, 512.0), (1.0, 0.5, 2.0))
    size = cells[:, 2:] - cells[:, :2]
    assert len(cells) == 12
    assert torch.allclose(
        size.prod(1).sqrt().view(3, 4), torch.tensor([64.0, 128, 256, 512]), rtol=0.02
    )
    assert torch.allclose(
        (size[:, 1] / size[:, 0]).view(3, 4)[:, 3], torch.tensor([1, 0.5, 2]), rtol=0.01
    )
    placed = _boxes.grid_anchors(cells, (2, 3), (16, 16))
    assert placed.shape == (72, 4)
    assert torch.equal(placed[12 * 4], cells[0] + torch.tensor([16.0, 16, 16, 16]))


def test_matching_follows_the_thresholds_and_spares_no_truth() -> None:
    overlap = torch.tensor([[0.8, 0.0], [0.5, 0.1], [0.2, 0.25], [0.0, 0.0]])
    assert _boxes.match(overlap, 0.3, 0.7, best_of_each=False).tolist() == [0, -2, -1, -1]
    assert _boxes.match(overlap, 0.3, 0.7, best_of_each=True).tolist() == [0, -2, 1, -1]
    assert _boxes.match(torch.zeros(3, 0), 0.3, 0.7, best_of_each=True).tolist() == [-1, -1, -1]


def test_suppression_keeps_images_and_classes_apart() -> None:
    box = torch.tensor([[0.0, 0, 10, 10], [1, 1, 11, 11], [0, 0, 10, 10]])
    boxes, scores = torch.stack([box, box]), torch.tensor([[0.9, 0.8, 0.7], [0.6, 0.7, 0.5]])
    groups = torch.tensor([[0, 0, 1], [0, 0, 0]])
    kept = _boxes.suppress(boxes, scores, groups, 0.5)
    assert kept.tolist() == [pytest.approx([0.9, -1, 0.7]), pytest.approx([-1, 0.7, -1])]


def test_heads_before_pooling_answer_as_heads_behind_it() -> None:
    torch.manual_seed(0)
    head = _roi.AverageHead(8, 3)
    torch.nn.init.normal_(head.score.weight)
    torch.nn.init.normal_(head.box.weight)
    x = torch.randn(2, 8, 12, 12)
    regions = torch.tensor([[0.0, 3, 5, 80, 90], [1, 20, 20, 170, 60]])
    pooled = _roi.pool(x, regions, (192, 192), 7).mean((2, 3))
    scores, offsets = head([x], regions, (192, 192))
    assert torch.allclose(scores, head.score(pooled), atol=1e-5)
    assert torch.allclose(offsets, head.box(pooled), atol=1e-5)


def test_the_fused_map_starts_as_the_map_that_faster_rcnn_has() -> None:
    torch.manual_seed(0)
    maps = [torch.randn(2, c, s, s) for c, s in ((4, 32), (6, 16), (8, 8), (10, 4))]
    neck = MultilevelFusion((4, 6, 8, 10), width=12, norm="none")
    fused = neck(maps)[0]
    assert fused.shape == (2, 48, 8, 8) and neck.out == 48
    assert torch.allclose(fused[:, 24:32], maps[2], atol=1e-6)  # both signs: no ReLU behind it
    assert not fused[:, 32:36].any()
    others = torch.cat([fused[:, :24], fused[:, 36:]], 1)
    assert 0.01 < float(others.detach().std()) < 0.5
    alone, both = neck([x[:1] for x in maps])[0], neck(maps)[0][:1]
    assert torch.allclose(alone, both, atol=1e-5)  # in training mode too: no batch norm
    batch = MultilevelFusion((4, 6, 8, 10), width=12)(maps)[0]
    assert float(batch.detach().amin()) == 0


def test_an_image_without_boxes_teaches_background_only() -> None:
    how = _rpn.Proposing()
    cells = _boxes.grid_anchors(_boxes.cell_anchors((16.0,), (1.0,)), (4, 4), (16, 16))
    slid = _rpn.Slid([torch.zeros(1, 16)], [torch.zeros(1, 16, 4)], [cells])
    score, place = _rpn.losses(slid, [torch.zeros(0, 4)], how)
    assert float(score) == pytest.approx(np.log(2), rel=1e-5) and float(place) == 0
    regions, labels, _ = _roi.teach(
        torch.rand(1, 5, 4).cumsum(2),
        [torch.zeros(0, 4)],
        [torch.zeros(0, dtype=torch.int64)],
        _roi.Detecting(),
    )
    assert len(regions) == 5 and not labels.any()


@pytest.mark.parametrize(
    "name", ["ddn", *(pytest.param(name, marks=pytest.mark.long) for name in NAMES[1:])]
)
def test_it_learns_to_find_and_name_blobs(name: str) -> None:
    model = tiny(name, classes=("dark", "bright"), **BLOBS[name])
    train(model, painted(15), Plan.of(model.settings, accelerator="cpu"))
    overlaps, named = [], 0
    for one in painted(3, seed=7):
        with torch.inference_mode():
            boxes, labels, scores = model.net(one["images"])
        for i in range(4):
            best = int(scores[i].argmax())
            overlaps.append(float(_boxes.iou(boxes[i, best : best + 1], one["boxes"][i])))
            named += int(labels[i, best]) == int(one["labels"][i][0])
    assert named >= 10, f"{named} of 12 named"
    assert np.mean(overlaps) > 0.3, overlaps  # a box anywhere overlaps by 0.05 on average


def test_the_five_steps_train_what_they_say_and_nothing_else() -> None:
    model = tiny("ddn", classes=("dark", "bright"), training="five_steps", steps=20)
    phases = model.phases()
    assert [phase.name for phase in phases] == [name for name, _ in FIVE]
    assert sum(phase.share for phase in phases) == pytest.approx(1)
    batches = painted(3)
    for phase in phases:
        phase.begin()
        before = {k: v.clone() for k, v in model.weights().items()}
        train(phase, batches, Plan.of(model.settings, accelerator="cpu", steps=2))
        after = model.weights()
        changed = [k.split(".") for k in after if not torch.equal(before[k], after[k])]
        moved = {key[1] for key in changed if len(key) > 1}
        learns = set(PARTS) - set(FROZEN[phase.name])
        assert moved == (set() if phase.name == "2_propose" else learns), phase.name
    assert model.proposer is None
    boxes, labels, scores, rows = model.graph()(batches[0]["images"])
    assert len(boxes) == len(labels) == len(scores) == len(rows)


@pytest.mark.parametrize("name", NAMES)
def test_weights_bring_the_answers_back_and_onnx_answers_alike(name: str, tmp_path: Path) -> None:
    model = tiny(name, classes=("dark", "bright"), threshold=0.01)
    with pytest.raises(NotFitted, match=f"{name} has not been trained"):
        model.graph()
    train(model, painted(2), Plan.of(model.settings, accelerator="cpu", steps=8))
    other = tiny(name, threshold=0.01)
    with pytest.raises(NotFitted, match=f"{name} does not know its classes yet"):
        other.graph()
    other.begin(Dataset((), classes=("dark", "bright")))
    other.restore(model.weights())
    images = painted(1, seed=3)[0]["images"]
    with torch.inference_mode():
        expected, restored = model.graph()(images), other.graph()(images)
    assert len(expected[0]) > 0
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(expected, restored, strict=True))
    if name == "ddn":
        path = tmp_path / "model.onnx"
        write_onnx(graphs_of(model, "Boxes", (64, 64))["model"], path)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        found = session.run(None, {"images": images.numpy()})
        assert np.allclose(expected[2].numpy(), found[2], atol=1e-3)
        assert alike(expected, found)


def alike(ours: Any, theirs: Any) -> bool:
    """The same boxes, but for those that another one of the same score may stand for.

    Two roundings of one computation order scores that differ by less than them either way, and
    suppression then keeps the one or the other.
    """
    rows = [[np.asarray(part, np.float64) for part in answer] for answer in (ours, theirs)]
    for (box, label, score, row), (boxes, labels, scores, places) in (rows, rows[::-1]):
        for i in range(len(box)):
            rivals = (labels == label[i]) & (places == row[i]) & (abs(scores - score[i]) < 1e-6)
            same = (abs(boxes - box[i]).max(1) < 0.01) & rivals
            lone = (abs(score - score[i]) < 1e-6).sum() == 1
            if not rivals.any() or (lone and not same.any()):
                return False
    return True


def test_equal_scores_are_taken_in_order() -> None:
    best, index = _boxes.highest(torch.tensor([[0.5, 0.75, 0.5, 0.75, 0.5]]), 4)
    assert index.tolist() == [[1, 3, 0, 2]] and best.tolist() == [[0.75, 0.75, 0.5, 0.5]]
    many = torch.zeros(1, 5000)
    assert torch.equal(_boxes.highest(many, 1000)[1][0], torch.arange(1000))


def test_classes_come_from_the_data() -> None:
    model = tiny("ddn")
    box = BoxLabel("scratch", (1.0, 1.0, 5.0, 5.0))
    model.begin(
        Dataset((Sample("a.png", "a", label="scratch", boxes=(box,)), Sample("b", "b", "good")))
    )
    assert model.classes == ("scratch",)
    with pytest.raises(BadLabels, match=r"ddn learns to tell classes, but parts names none\."):
        model.begin(Dataset((Sample("b.png", "b", label="good"),), root="parts"))


def test_settings_are_checked() -> None:
    with pytest.raises(BadSettings, match=r"levels=\(1, 2\): expected stages 2 to 5"):
        catalogue.settings_class("ddn")(levels=(1, 2))
    with pytest.raises(BadSettings, match="proposals=0: expected 1 or more"):
        catalogue.settings_class("faster_rcnn")(proposals=0)


def test_a_missing_file_of_weights_names_a_way_that_suits_the_model() -> None:
    with pytest.raises(WeightsMissing, match=r"nowhere\.pth.* begin with random weights by weigh"):
        tiny("ddn", weights="nowhere.pth", classes=("dent",))
    with pytest.raises(WeightsMissing, match=r"nowhere\.pth.* use backbone='scattering'"):
        tap("resnet18", "nowhere.pth")
