"""Networks that label every frame: what they see, their loss, from camera to errors, measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from stepping import ABC, spelled

import triscope
from triscope.cli import program
from triscope.cli._exits import run
from triscope.errors import BadSettings, CheckError, LeakedData
from triscope.kernel import catalogue
from triscope.kernel.data import Dataset
from triscope.kernel.data.video import open_video
from triscope.kernel.results import Finding
from triscope.kernel.runtime.examined import TimelineExaminer
from triscope.kernel.runtime.reading import Reading
from triscope.kernel.verbs import fit
from triscope.motion.models._segment_model import stage_loss
from triscope.motion.models.asformer import AsFormer, WindowAttention
from triscope.motion.models.ms_tcn import MsTcn
from triscope.motion.steps.checking import check_steps
from triscope.motion.steps.running import check_video, online_delay
from triscope.motion.synth import assembly
from triscope.motion.timeline_plot import RED, timeline


@pytest.mark.parametrize("kind", [MsTcn, AsFormer])
def test_causal_networks_never_see_the_future(kind: type) -> None:
    torch.manual_seed(0)
    net = kind(wide_in=6, classes=3, width=8, layers=4, stages=2, causal=True).eval()
    other = kind(wide_in=6, classes=3, width=8, layers=4, stages=2, causal=False).eval()
    x = torch.randn(1, 6, 20)
    changed = x.clone()
    changed[:, :, 12:] += 1
    with torch.no_grad():
        assert net(x).shape == (2, 1, 3, 20)
        assert torch.allclose(net(x)[..., :12], net(changed)[..., :12], atol=1e-5)
        assert not torch.allclose(net(x)[..., 12:], net(changed)[..., 12:], atol=1e-3)
        assert not torch.allclose(other(x)[..., :12], other(changed)[..., :12], atol=1e-4)


def test_attention_looks_half_a_window_far() -> None:
    torch.manual_seed(0)
    attention = WindowAttention(4, 4, 4, window=4, causal=False).eval()
    x = torch.randn(1, 4, 12)
    with torch.no_grad():
        before = attention(x, x)
        x2 = x.clone()
        x2[:, :, 6] += 1
        moved = (attention(x2, x2) - before).abs().amax((0, 1)) > 1e-6
    assert set(moved.nonzero().flatten().tolist()) <= {4, 5, 6, 7, 8} and moved[6]


def test_the_loss_along_time_is_the_published_one() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(1, 3, 5) * 5, torch.tensor([[0, 1, 1, 2, 0]])
    logs = logits.log_softmax(1)
    entropy = -sum(logs[0, labels[0, t], t] for t in range(5)) / 5
    change = [
        (logs[0, k, t] - logs[0, k, t - 1]).square().clamp(max=16)
        for t in range(1, 5)
        for k in range(3)
    ]
    expected = entropy + 0.15 * sum(change) / len(change)
    assert float(stage_loss(logits, labels, 0.15)) == pytest.approx(float(expected), rel=1e-5)


def test_from_camera_to_steps(films: Path, tmp_path: Path) -> None:
    """Fit, save, open and run the command: the answer is whole, whatever two updates learned."""
    small = {"steps": 1, "size": 32, "width": 8, "layers": 2, "stages": 2, "warm_up": 0}
    check = fit("asformer", films, small, calibrate=0, engine="onnxruntime")
    check.save(tmp_path / "check")
    opened = triscope.open(tmp_path / "check")
    video = next(films.glob("*.mp4"))
    checked = check_video(opened, video, assembly.procedure())
    assert len(checked.labels) == len(checked.probabilities) == len(assembly.paint(5).labels)
    again = check_video(check, video, assembly.procedure())
    assert np.allclose(checked.probabilities, again.probabilities, atol=1e-4)
    inspected = opened.inspect(video)
    assert set(inspected.details) == {"labels", "duration_s"}
    with pytest.raises(BadSettings, match="has the step 'a', which this check does not know"):
        check_video(opened, video, ABC)
    assert online_delay(np.eye(5)[[0, 0, 1, 1]], ["idle", "base", "base", "base"],
                        opened.card.classes, 2.0) == pytest.approx(0.25)  # fmt: skip


def test_the_command_tells_errors_and_draws_them(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = {"steps": 1, "size": 32, "width": 8, "layers": 1, "stages": 1, "warm_up": 0}
    fit("ms_tcn", films, small, calibrate=0, out=tmp_path / "check", engine="onnxruntime")
    steps = "".join(f"[[step]]\nname='{name}'\n" for name in assembly.STEPS)
    (tmp_path / "p.toml").write_text(steps)
    (tmp_path / "bad.mp4").write_bytes(b"x")
    video = str(next(films.glob("*.mp4")))
    words = ["steps", str(tmp_path / "check"), str(tmp_path / "p.toml"), video,
             str(tmp_path / "bad.mp4"), "--plots", str(tmp_path / "plots"), "--json"]  # fmt: skip
    assert run(program(), words) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (
        len(answer["videos"]) == 1 and "cannot be read as a video" in answer["skipped"][0]["error"]
    )
    assert len(list((tmp_path / "plots").glob("*.png"))) == 1
    with pytest.raises(CheckError, match="does not label frames"):
        check_video(
            type("C", (), {"card": type("K", (), {"input": {}}), "label": "x@1"}), video, ABC
        )


def test_a_timeline_shows_every_label_and_marks_errors() -> None:
    labels = spelled("..aaaa..cccc..")
    errors = check_steps(labels, 5.0, ABC)
    picture = timeline([("found", labels), ("true", labels)], ABC.labels, 5.0, errors)
    assert picture.shape[1] == 960 and (picture == RED).all(axis=2).sum() > 100


@pytest.mark.parametrize("lag_s", [0.0, 0.3])
def test_cached_steps_of_the_network_are_the_whole_video(lag_s: float) -> None:
    model = catalogue.load("ms_tcn")(
        catalogue.settings_class("ms_tcn")(
            causal=True, lag_s=lag_s, size=32, width=8, layers=4, stages=2
        )
    )
    model.begin(Dataset((), "", "timelines", ("idle", "a", "b")))
    graphs, frames = model.graphs(), torch.rand(1, 3, 40, 32, 32)
    online = graphs["online"].module
    state = [v for k, v in graphs["online"].example.items() if k.startswith("state_")]
    assert [tuple(s.shape) for s in state[:4]] == [(1, 8, 2), (1, 8, 4), (1, 8, 8), (1, 8, 16)]
    lag, answers = round(lag_s * 10), []
    with torch.no_grad():
        whole = graphs["model"].module(frames)[0].T  # (t, k)
        for i in range(40 + lag):
            now = min(i, 39)
            logits, *state = online(frames[:, :, now], frames[:, :, max(0, now - 1)], *state)
            answers.append(logits[0])
    assert (torch.stack(answers[lag:]) - whole).abs().max() <= 1e-6 * whole.abs().max()
    assert whole.std(0).min() > 1e-3


def test_timelines_are_held_out_and_measured(tmp_path: Path) -> None:
    """Held-out videos choose the line of doubt; others are measured frame by frame."""
    faults: tuple[assembly.Fault, ...] = ("none", "swapped")
    learn = assembly.write_all(tmp_path / "learn", assembly.paint_many(4, 5, faults))
    others = assembly.write_all(tmp_path / "others", assembly.paint_many(2, 50, faults))
    small = {"steps": 2, "size": 32, "width": 8, "layers": 2, "stages": 1, "warm_up": 0}
    check = fit("ms_tcn", learn, small, calibrate=0.25)
    assert check.card.promise["videos"] == 1 and check.card.zones is not None
    measured = check.evaluate(others)
    known, fed = measured.known, TimelineExaminer(check.card.classes, 10.0)
    assert known is not None and sum(measured.images.values()) == 2
    for sample in check.captures(others):
        fed.take(sample, Reading(0.0, tuple(
            Finding(s.label, 1.0, span_s=(s.start_s, s.end_s)) for s in sample.spans), None,
            {"duration_s": open_video(sample.source).duration_s}))  # fmt: skip
    perfect = fed.result()
    assert [perfect[k] for k in ("frame_accuracy", "edit", "f1_10", "f1_50")] == [1, 1, 1, 1]
    frames = sum(len(open_video(s.source)) for s in check.captures(others))
    assert np.sum(known["matrix"]) == np.sum(perfect["matrix"]) == frames
    assert known["frame_accuracy"] < 1
    with pytest.raises(LeakedData, match="was fitted or calibrated on all 4"):
        check.evaluate(learn)
