"""Models of clips: they learn what moves where, and the saved check answers like the library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from moving import TINY, fitted, frames_of, place, saved, write
from torch import nn

import triscope
from triscope.cli import program
from triscope.cli._exits import run
from triscope.errors import BadLabels, BadSettings, DataError, EmptyData, NotFitted
from triscope.kernel import catalogue
from triscope.kernel.config import build
from triscope.kernel.data import Sample
from triscope.kernel.data.video import Cut, open_videos
from triscope.kernel.data.video.clips import frame_and_flow
from triscope.kernel.export.fitted import restored
from triscope.kernel.metrics.calibration_error import calibration_error
from triscope.kernel.runtime.moments import zones_of_doubt
from triscope.kernel.verbs import fit
from triscope.motion.augment import OPERATIONS, Augmentation, flip_rules
from triscope.motion.batches import ClipBatches, Library
from triscope.motion.models import tsn
from triscope.motion.models._clip_model import fix_norms, mixed


@pytest.fixture(scope="module")
def clips() -> Path:
    return place() / "clips"


def test_a_small_model_learns_which_way_things_move(clips: Path, tmp_path: Path) -> None:
    """Single frames cannot tell left from right; filters over time can."""
    settings = {**TINY, "width": 1.0, "depth": 1.0, "seen": "difference", "step": 2, "steps": 80,
                "batch": 6, "jitter": 0.0, "dropout": 0.0, "scales": "1.0", "frames": 5,
                "sampling": "dense", "learning_rate": 3e-3, "mixup": 0.0}  # fmt: skip
    check = fit("x3d", clips, settings, calibrate=0)
    fresh = [write(tmp_path / f"{way}.mp4", frames_of(way, seed=77)) for way in ("left", "right")]
    found = [check.inspect(path).details["label"] for path in fresh]
    assert found == ["left", "right"]


def test_the_saved_check_answers_like_the_library_and_holds_the_online_graph(
    tmp_path: Path,
) -> None:
    check = fitted("tsm")
    path = place() / "clips" / "left" / "clip0.mp4"
    before = check.inspect(path)
    opened = triscope.open(saved("tsm"))
    after = opened.inspect(path)
    assert opened.card.classes == ("left", "right") and opened.card.graphs == ("model", "online")
    assert opened.card.capture == "clip"
    assert after.details["label"] == before.details["label"]
    assert after.score == pytest.approx(before.score, abs=1e-4)
    assert after.findings[0].span_s == pytest.approx((0.0, 1.0), abs=0.01)
    assert after.verdict.outcome in ("pass", "review")
    assert opened.card.promise["videos"] == 2
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"nothing")
    answers = list(opened.inspect_many([path, broken, path]))
    assert [type(a).__name__ for a in answers] == ["Inspection", "Skipped", "Inspection"]
    assert "broken.mp4 cannot be read as a video" in answers[1].error
    with pytest.raises(DataError, match="looks at videos; give a file"):
        opened.inspect(np.zeros((4, 4, 3), np.uint8))


def test_a_bad_video_never_stops_a_training(clips: Path, tmp_path: Path) -> None:
    samples = list(open_videos(clips))
    (tmp_path / "cut.mp4").write_bytes((clips / "left/clip0.mp4").read_bytes()[:200])
    samples.insert(0, Sample(tmp_path / "cut.mp4", "cut", "left"))
    check = fit("tsm", samples, {**TINY, "backbone": "mobilenetv2"}, calibrate=0)
    assert check.card.model == "tsm" and [s.source for s in check.skipped] == ["cut"]
    library = Library(samples, 32)
    assert len(library) == 6 and "cut.mp4 cannot be read as a video" in library.skipped[0].error
    with pytest.raises(EmptyData, match="none of 1 videos can be read"):
        Library(samples[:1], 32)


def test_one_class_is_refused(clips: Path) -> None:
    with pytest.raises(BadLabels, match="a model of clips needs at least two"):
        fit("tsm", clips / "left", {**TINY}, calibrate=0)


def test_settings_refuse_nonsense() -> None:
    cls = catalogue.settings_class("tsm")
    with pytest.raises(BadSettings, match="frames=0: expected 1 or more"):
        cls(frames=0)
    with pytest.raises(BadSettings, match="seen='flow': expected rgb or difference"):
        cls(seen="flow")
    with pytest.raises(BadSettings, match="expected pairs such as 'left=right'"):
        cls(flip_labels="left")
    with pytest.raises(NotFitted, match="does not know its classes yet"):
        catalogue.load("tsm")(cls()).network()


def test_flow_is_told_beside_one_frame() -> None:
    frames = frames_of("right", count=5)
    seen = frame_and_flow(frames, paired=False)
    assert seen.shape == (5, 48, 48, 3) and np.array_equal(seen[0], frames[2])
    assert (seen[1:, ..., 2] == 128).all()
    x, y = (seen[1:, ..., c].astype(int) - 128 for c in (0, 1))
    assert x.max() > 20 and x.max() > 3 * abs(y).max()  # to the right
    still = frame_and_flow(np.repeat(frames[:1], 4, axis=0), paired=True)
    assert still.shape[0] == 3 and (abs(still[1:].astype(int) - 128) <= 1).all()


@pytest.mark.parametrize("fusion", ["average", "svm"])
def test_two_streams_are_fitted_fused_and_saved(fusion: str, clips: Path, tmp_path: Path) -> None:
    stacking = "trajectories" if fusion == "svm" else "points"
    small = {**TINY, "frames": 3, "backbone": "mobilenetv2", "fusion": fusion, "steps": 5,
             "jitter": 0.0, "stacking": stacking}  # fmt: skip
    check = fit("two_stream", clips, small, calibrate=0, engine="onnxruntime")
    net = restored(check).network()
    clip = torch.rand(2, 3, 4, 32, 32) * 2 - 1
    with torch.no_grad():
        looks, moves = (x.softmax(1) for x in net.streams(clip))
        answer = net(clip)
        changed = clip.clone()
        changed[:, :, 0] = 0
        assert torch.equal(net.streams(changed)[1].softmax(1), moves)  # a stream sees its own
        if fusion == "average":
            assert torch.allclose(answer.exp(), (looks + moves) / 2, atol=1e-6)
        else:
            units = [x / x.norm(dim=1, keepdim=True) for x in (looks, moves)]
            expected = torch.cat(units, 1) @ net.machine.weight.T + net.machine.bias
            assert torch.allclose(answer, expected, atol=1e-5)
    check.save(tmp_path / "check")
    video = clips / "left" / "clip0.mp4"
    opened = triscope.open(tmp_path / "check")
    assert opened.card.input["seen"] == "flow"
    assert opened.inspect(video).score == pytest.approx(check.inspect(video).score, abs=1e-4)


def test_only_the_head_learns_where_that_is_asked_for(clips: Path) -> None:
    cls = catalogue.settings_class("tsn")
    small = {"frames": 4, "size": 32, "backbone": "mobilenetv2", "learn": "head", "steps": 3,
             "batch": 4, "consensus": "change", "square": True, "warm_up": 0}  # fmt: skip
    model = catalogue.load("tsn")(build(cls, small))
    model.begin(open_videos(clips))
    before = {k: v.clone() for k, v in model.weights().items()}
    check = fit("tsn", clips, small, calibrate=0)
    after = restored(check).weights()
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    assert changed and all(name.startswith("head.") for name in changed)
    assert "head.0.running_mean" in changed and "head.1.weight" in changed


def test_the_consensus_of_change_sees_no_still_picture() -> None:
    torch.manual_seed(0)
    net = tsn.network("mobilenetv2", classes=2, kind="change").eval()
    for module in net.modules():
        if isinstance(module, nn.Conv2d):  # so that what is seen reaches the answer
            nn.init.kaiming_normal_(module.weight)
    still = torch.randn(1, 3, 1, 64, 64).expand(-1, -1, 4, -1, -1)
    other = torch.randn(1, 3, 1, 64, 64).expand(-1, -1, 4, -1, -1)
    moving = torch.randn(1, 3, 4, 64, 64)
    with torch.no_grad():
        assert torch.allclose(net(still), net(other), atol=1e-5)
        assert not torch.allclose(net(still), net(moving), atol=1e-4)


@pytest.mark.long
@pytest.mark.alone
def test_two_processes_learn_clips_as_one_with_twice_the_batches(clips: Path) -> None:
    """Gradients are averaged over two processes (gloo on the CPU); norms are fixed, so that their
    statistics do not depend on who saw which clip."""
    settings = {**TINY, "width": 1.0, "depth": 1.0, "steps": 2, "norm": "frozen", "dropout": 0.0,
                "batch": 3, "learning_rate": 1e-2}  # fmt: skip
    fit_on = lambda **more: restored(  # noqa: E731
        fit("x3d", clips, {**settings, **more.pop("settings", {})}, calibrate=0,
            accelerator="cpu", **more)
    ).weights()  # fmt: skip
    one, two = fit_on(settings={"accumulate": 2}), fit_on(devices=2)
    fresh = fit_on(settings={"learning_rate": 1e-12, "weight_decay": 0.0})
    for name, value in one.items():
        assert torch.allclose(value, two[name], atol=1e-6), name
    assert any(not torch.allclose(fresh[name], two[name], atol=1e-4) for name in two)


# ---- augmentation -------------------------------------------------------------------------------


def test_a_flip_swaps_the_labels_that_a_mirror_swaps() -> None:
    rules = flip_rules("left=right, push=pull")
    assert rules == {"left": "right", "right": "left", "push": "pull", "pull": "push"}
    change = Augmentation(size=48, scales=(1.0,), flip_labels=rules, jitter=0.0, one_way=("up",))
    frames = frames_of("left")
    seen = set()
    for seed in range(20):
        out, label = change(frames, "left", np.random.default_rng(seed))
        mirrored = np.array_equal(out, frames[:, :, ::-1])
        assert mirrored or np.array_equal(out, frames)
        assert label == ("right" if mirrored else "left")
        seen.add(label)
        assert np.array_equal(change(frames, "up", np.random.default_rng(seed))[0], frames)
    assert seen == {"left", "right"}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_keeps_the_shape_and_treats_all_frames_alike(name: str) -> None:
    frames = np.repeat(frames_of("left")[:1], 3, axis=0)
    kept = frames.copy()
    for strength in (-1.0, 0.7):
        out = OPERATIONS[name](frames, strength)
        assert out.shape == frames.shape and out.dtype == np.uint8
        assert np.array_equal(out[0], out[2])
    assert np.array_equal(frames, kept)


def test_batches_are_the_same_for_the_same_seed_and_balanced(clips: Path) -> None:
    data = open_videos(clips)
    few = data.where(lambda s: s.label == "left" or "clip0" in s.name)
    change = Augmentation(size=32)
    cut = Cut(frames=4, size=32)
    one, two, other = (
        ClipBatches(few, data.classes, cut, change, batch=2, seed=seed, balance=True)
        for seed in (0, 0, 1)
    )
    assert len(one(0)) == 3  # two classes of three, in pairs
    labels = torch.cat([batch.labels for batch in one(0)])
    assert labels.bincount().tolist() == [3, 3]
    assert torch.equal(one(3)[1].clips, two(3)[1].clips)
    assert not torch.equal(one(3)[1].clips, other(3)[1].clips)
    assert one(0)[0].clips.shape == (2, 3, 4, 32, 32)


def test_mixed_targets_stay_probabilities_and_boxes_count_by_area() -> None:
    torch.manual_seed(0)
    clips = torch.stack([torch.full((3, 2, 8, 8), float(i)) for i in range(4)])
    targets = torch.eye(4)
    for mixup, cutmix in ((0.8, 0.0), (0.0, 1.0)):
        out, soft = mixed(clips, targets, mixup, cutmix)
        assert torch.allclose(soft.sum(1), torch.ones(4))
        means = out.mean((1, 2, 3, 4))
        assert torch.allclose(means, soft @ torch.arange(4.0), atol=1e-5)
    assert mixed(clips, targets, 0.0, 0.0)[0] is clips


def test_partial_norm_fixes_all_but_the_first() -> None:
    net = nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)).train()
    fix_norms(net, "partial")
    assert net[0].training and not net[2].training
    fix_norms(net, "frozen")
    assert not net[0].training


def test_the_line_of_doubt_lies_below_the_first_mistake() -> None:
    zones = zones_of_doubt([(0.1, True), (0.3, True), (0.4, False), (0.5, True)])
    assert 0.3 < zones.review_above < 0.4 and zones.fail_above == 1.0
    assert zones.basis.startswith("3 of 4 held-out videos answered rightly; all 2 below")
    assert zones_of_doubt([(0.1, False), (0.3, True)]).basis.endswith("none was sure enough")
    assert zones_of_doubt([(0.2, True)]).review_above == pytest.approx(0.6)


def test_a_check_of_clips_is_evaluated_with_its_confusion_and_calibration(tmp_path: Path) -> None:
    check = fitted("tsm")
    for i, way in enumerate(("left", "left", "right")):
        write(tmp_path / way / f"new{i}.mp4", frames_of(way, seed=900 + i))
    measured = check.evaluate(tmp_path)
    known = measured.known
    assert known["classes"][0]["captures"] == 2 and known["classes"][1]["captures"] == 1
    matrix = np.array(known["matrix"])
    assert matrix.sum() == 3 and known["top_5"] == 1.0
    assert known["accuracy"] == pytest.approx(matrix.trace() / 3)
    sure = [
        max(check.inspect(p).details["probabilities"].values()) for p in tmp_path.rglob("*.mp4")
    ]
    right = [check.inspect(p).details["label"] == p.parent.name for p in tmp_path.rglob("*.mp4")]
    assert known["calibration_error"] == pytest.approx(by_hand(sure, right), abs=1e-5)
    # the score is doubt: wrong answers are what it should be high for
    assert measured.images == {"good": sum(right), "defective": 3 - sum(right)}


def test_labels_that_the_check_does_not_know_are_counted_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for way, label in (("left", "left"), ("right", "right"), ("right", "upwards")):
        write(tmp_path / "new" / label / "one.mp4", frames_of(way, seed=950))
    check = saved("tsm")
    known = triscope.open(check).evaluate(tmp_path / "new").known
    assert known["unknown"] == {"upwards": 1} and np.sum(known["matrix"]) == 2
    assert known["top_5"] == 1.0
    assert run(program(), ["evaluate", str(check), str(tmp_path / "new")]) == 0
    printed = " ".join("".join(capsys.readouterr()).split())
    assert "left out, since the check does not know their labels: upwards (1)" in printed


def by_hand(sure: list[float], right: list[bool], bins: int = 15) -> float:
    """Expected calibration error, bin by bin."""
    total = 0.0
    for b in range(bins):
        inside = [i for i, s in enumerate(sure) if b / bins < s <= (b + 1) / bins]
        if inside:
            accuracy = sum(right[i] for i in inside) / len(inside)
            total += abs(accuracy - sum(sure[i] for i in inside) / len(inside)) * len(inside)
    return total / len(sure)


def test_calibration_error_is_zero_where_probabilities_come_true() -> None:
    assert calibration_error([1.0, 1.0], [True, True]) == 0
    assert calibration_error([0.5, 0.5], [True, False]) == 0
    assert calibration_error([0.9, 0.9], [False, False]) == pytest.approx(0.9)
    rng = np.random.default_rng(0)
    sure = rng.random(200).tolist()
    right = (rng.random(200) < 0.5).tolist()
    assert calibration_error(sure, right) == pytest.approx(by_hand(sure, right))
    with pytest.raises(BadLabels, match="wants probabilities"):
        calibration_error([], [])
