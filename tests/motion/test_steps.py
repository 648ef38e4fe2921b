"""Steps: procedures, decoding, errors with their span, metrics, painted assemblies, the models."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import triscope
from triscope.cli import program
from triscope.cli._exits import run
from triscope.errors import BadLabels, BadSettings, CheckError, EmptyData, LeakedData
from triscope.kernel import catalogue
from triscope.kernel.data import Dataset
from triscope.kernel.data.video import open_video
from triscope.kernel.data.video.timeline import labels_at, numbers_at, open_timelines
from triscope.kernel.metrics.segments import (
    Counts,
    edit_score,
    frame_accuracy,
    overlap_counts,
    segments_of,
)
from triscope.kernel.results import Finding
from triscope.kernel.runtime.examined import TimelineExaminer
from triscope.kernel.runtime.online_labels import LabelStream
from triscope.kernel.runtime.reading import Reading
from triscope.kernel.verbs import fit
from triscope.motion.models._segment_model import stage_loss
from triscope.motion.models.asformer import AsFormer, WindowAttention
from triscope.motion.models.ms_tcn import MsTcn
from triscope.motion.steps.checking import check_steps, error_counts, verdict_of
from triscope.motion.steps.decoding import change_costs, decode, viterbi
from triscope.motion.steps.live import Alarm, Ended, LiveSteps
from triscope.motion.steps.procedure import Procedure, Step, read_procedure
from triscope.motion.steps.running import check_video, online_delay
from triscope.motion.synth import assembly
from triscope.motion.timeline_plot import RED, timeline

ABC = Procedure("abc", (Step("a", max_s=3), Step("b", ("a",), min_s=0.4), Step("c", ("b",))))


def spelled(text: str) -> list[str]:
    """``..aab`` as labels a frame; a dot is idle."""
    return ["idle" if sign == "." else sign for sign in text]


# ---- procedures ---------------------------------------------------------------------------------


def test_a_procedure_is_read_with_its_order(tmp_path: Path) -> None:
    path = tmp_path / "pump.toml"
    path.write_text("name='pump'\n[[step]]\nname='a'\nmax_s=3.0\n[[step]]\nname='b'\n")
    chain = read_procedure(path)
    assert chain["b"].after == ("a",) and chain["a"].max_s == 3 and chain.name == "pump"
    path.write_text("[[step]]\nname='a'\n[[step]]\nname='b'\n[[step]]\nname='c'\nafter=['a']\n")
    partial = read_procedure(path)
    assert partial["b"].after == () and partial.before("c") == {"a"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[[step]]\nname='a'\nafter=['b']\n[[step]]\nname='b'\nafter=['a']",
            "goes round in a",
        ),
        ("[[step]]\nname='a'\nafter=['z']", "comes after 'z', which is no step"),
        ("[[step]]\nname='a'\n[[step]]\nname='a'", "two steps named 'a'"),
        ("[[step]]\nname='idle'", "has the name of doing nothing|is the name of doing nothing"),
        ("[[step]]\nname='a'\nmin_s=4\nmax_s=2", "expected 0 <= min_s < max_s"),
        ("[[step]]\nname='a'\nlength=2", "a step has no 'length'"),
        ("[[step]]\nmax_s=2", "a step has no name"),
        ("name='empty'", "has no step"),
        ("name=", "cannot be read as TOML"),
    ],
)
def test_wrong_procedures_say_what_is_wrong(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(BadSettings, match=told):
        read_procedure(path)


# ---- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("video", "expected"),
    [
        (".aaaa.bbbb.cccc.", []),
        (".aaaa......cccc.", [("missing", "b")]),
        (".bbbb.aaaa.cccc.", [("order", "b")]),
        (".aaaa.b.cccc....", [("short", "b")]),
        ("." + "a" * 16 + ".bbbb.cccc.", [("long", "a")]),
        (".aaaa.bbbb.aaaa.cccc.", [("repeated", "a")]),
        (".aaaa.bbbb.zz.cccc.", [("unknown", "z")]),
        ("................", [("missing", "a"), ("missing", "b"), ("missing", "c")]),
    ],
)
def test_each_kind_of_error_is_found_alone(video: str, expected: list[tuple[str, str]]) -> None:
    errors = check_steps(spelled(video), 5.0, ABC)
    assert [(error.kind, error.step) for error in errors] == expected
    assert verdict_of(errors).outcome == ("fail" if expected else "pass")


def test_a_missing_step_is_shown_where_it_should_have_been() -> None:
    (error,) = check_steps(spelled(".aaaa......cccc."), 5.0, ABC)
    assert error.span_s == (1.0, 2.2)
    assert verdict_of([error]).reason == "b was done 0 of 1 times (1.0 to 2.2 s)"
    assert error.finding().label == "missing: b" and error.finding().span_s == (1.0, 2.2)


def test_optional_steps_partial_orders_and_a_late_end() -> None:
    loose = Procedure("loose", (Step("a"), Step("b", optional=True), Step("c", ("a",))), total_s=2)
    assert check_steps(spelled("aaccc"), 5.0, loose) == []
    assert check_steps(spelled("bbaac"), 5.0, loose) == []
    late = check_steps(spelled("aaa" + "." * 10 + "ccc"), 5.0, loose)
    assert [(e.kind, e.span_s) for e in late] == [("late", (2, 3.2))]


def test_counts_of_errors_add_up() -> None:
    found = check_steps(spelled(".bbbb.aaaa......."), 5.0, ABC)
    counts = error_counts(found, [("order", "b"), ("missing", "c"), ("long", "a")])
    assert counts == Counts(2, 0, 1) and counts.f1 == pytest.approx(0.8)


# ---- metrics ------------------------------------------------------------------------------------


def test_metrics_by_hand() -> None:
    true, found = spelled("aaaabbbbcccc"), spelled("aaabbbbbcacc")
    assert frame_accuracy(found, true) == pytest.approx(10 / 12)
    assert edit_score(found, true) == pytest.approx(1 - 2 / 5)  # a b c a c against a b c
    assert overlap_counts(found, true, 0.5) == Counts(3, 2, 0)
    assert overlap_counts(found, true, 0.79) == Counts(1, 4, 2)  # b: 4 of 5 frames
    assert overlap_counts(true, true, 0.99).f1 == 1.0
    assert edit_score(spelled("..aa"), spelled("aa.."), ignore=("idle",)) == 1.0
    assert frame_accuracy([], []) == 1.0 and Counts().f1 == 1.0
    with pytest.raises(BadLabels, match="a label a frame on both sides, got 1 and 2"):
        edit_score(["a"], ["a", "b"])


# ---- decoding -----------------------------------------------------------------------------------


def by_brute_force(logs: np.ndarray, costs: np.ndarray, shortest: list[int]) -> float:
    """The best score over all labellings whose runs, but the last, are long enough."""
    best = -np.inf
    t, k = logs.shape
    for code in range(k**t):
        path = [code // k**i % k for i in range(t)]
        runs = segments_of([str(p) for p in path])
        if any(len(r) < shortest[int(r.label)] for r in runs[:-1]):
            continue
        score = sum(logs[i, p] for i, p in enumerate(path))
        score -= sum(costs[int(a.label), int(b.label)] for a, b in itertools.pairwise(runs))
        best = max(best, score)
    return best


def test_viterbi_is_the_best_of_all_walks() -> None:
    rng = np.random.default_rng(0)
    for _ in range(6):
        logs = rng.normal(size=(6, 3)) * 2
        costs = rng.uniform(0, 2, (3, 3)) * (1 - np.eye(3))
        shortest = [1, 2, 3]
        path = viterbi(logs, costs, shortest)
        runs = segments_of([str(p) for p in path])
        score = sum(logs[i, p] for i, p in enumerate(path))
        score -= sum(costs[int(a.label), int(b.label)] for a, b in itertools.pairwise(runs))
        assert score == pytest.approx(by_brute_force(logs, costs, shortest))
    assert viterbi(np.zeros((0, 3)), np.zeros((3, 3)), [1, 1, 1]).shape == (0,)


def test_decoding_heals_flicker_and_keeps_what_was_done_wrong() -> None:
    labels = ("idle", "a", "b", "c")
    truth = spelled("..." + "b" * 8 + "..." + "a" * 8 + "...")
    sure = np.full((len(truth), 4), 0.1)
    for i, name in enumerate(truth):
        sure[i, labels.index(name)] = 0.7
    sure[6] = (0.1, 0.1, 0.1, 0.7)  # one frame of another step
    found = decode(sure, labels, procedure=ABC)
    assert found == truth
    costs = change_costs(labels, ABC)
    assert costs[1, 2] < costs[2, 1] and costs[0, 2] == costs[1, 2] and not costs.diagonal().any()


# ---- painted assemblies -------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["none", "left out", "swapped", "slowed"])
def test_what_was_painted_is_what_step_checking_finds_in_the_truth(fault: assembly.Fault) -> None:
    for seed in range(5):
        one = assembly.paint(seed, fault, size=32)
        errors = check_steps(one.labels, assembly.RATE, assembly.procedure())
        assert [(e.kind, e.step) for e in errors] == list(one.errors)
        assert one.frames.shape == (len(one.labels), 32, 32, 3)
    assert np.array_equal(assembly.paint(3, fault, 32).frames, assembly.paint(3, fault, 32).frames)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    faults: tuple[assembly.Fault, ...] = ("none", "swapped")
    return assembly.write_all(folder, assembly.paint_many(2, 5, faults), "train")


def test_timelines_are_read_back(films: Path) -> None:
    data = open_timelines(films)
    assert data.classes == ("idle", "base", "cover", "gear", "screw") and len(data) == 2
    painted = assembly.paint(5, "none")
    first = data[0]
    frames = open_video(first.source)
    assert numbers_at(frames, assembly.RATE).tolist() == list(range(len(painted.labels)))
    assert tuple(labels_at(first.spans, len(painted.labels), assembly.RATE)) == painted.labels
    assert {s.split for s in data} == {"train"}


def test_wrong_tables_say_where(films: Path, tmp_path: Path) -> None:
    with pytest.raises(EmptyData, match=r"has no steps\.csv"):
        open_timelines(tmp_path)
    table = tmp_path / "steps.csv"
    for text, told in (
        ("video,start_s\nx.mp4,0\n", "lacks the column 'end_s'"),
        ("video,start_s,end_s,label\nx.mp4,0,one,a\n", "line 2: could not convert"),
        ("video,start_s,end_s,label\nx.mp4,2,1,a\n", "line 2: a span goes from start_s to a later"),
        ("video,start_s,end_s,label\nx.mp4,0,1,a\n", "names x.mp4, which is not in"),
    ):
        table.write_text(text)
        with pytest.raises(BadLabels, match=told):
            open_timelines(tmp_path)
    (tmp_path / "x.mp4").write_bytes(b"")
    table.write_text("video,start_s,end_s,label\nx.mp4,0,2,a\nx.mp4,1,3,b\n")
    with pytest.raises(BadLabels, match="Spans of one video must not overlap"):
        open_timelines(tmp_path)


# ---- networks -----------------------------------------------------------------------------------


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


# ---- live ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def backward(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved check that looks back only and waits two frames; hardly trained."""
    small = {"steps": 2, "size": 32, "width": 8, "layers": 3, "stages": 2, "warm_up": 0,
             "causal": True, "lag_s": 0.2}  # fmt: skip
    folder = tmp_path_factory.mktemp("backward") / "check"
    fit("ms_tcn", films, small, calibrate=0, out=folder, engine="onnxruntime")
    return folder


def test_frame_by_frame_a_network_answers_what_it_answers_for_the_whole_video(
    backward: Path, films: Path
) -> None:
    check = triscope.open(backward)
    video = open_video(next(films.glob("*.mp4")))
    whole = check_video(check, next(films.glob("*.mp4")), assembly.procedure()).probabilities
    stream = LabelStream(check)
    glances = []
    for time_s, frame in video.walk():
        for glance in stream.see(frame, time_s):
            assert glance.known_s - glance.time_s == pytest.approx(0.2, abs=1e-6)
            glances.append(glance)
    glances += stream.end()
    assert [g.time_s for g in glances] == pytest.approx(list(np.arange(len(whole)) / 10))
    assert np.abs(np.stack([g.probabilities for g in glances]) - whole).max() < 0.02
    live = LiveSteps(assembly.procedure(), check.card.classes, 10.0)
    told = [x for g in glances for x in live.add(g.time_s, g.probabilities, g.known_s)]
    (ended,) = live.finish()
    assert isinstance(ended, Ended) and all(isinstance(x, Alarm) for x in told)
    assert live.finish() == []


def test_a_slower_camera_repeats_frames_and_a_faster_one_leaves_some_out(backward: Path) -> None:
    for rate, frames in ((5.0, 6), (25.0, 30)):
        stream = LabelStream(triscope.open(backward))
        picture = np.zeros((32, 32, 3), np.uint8)
        glances = [g for i in range(frames) for g in stream.see(picture, 3.0 + i / rate)]
        glances += stream.end()
        assert [g.time_s for g in glances] == pytest.approx(3.0 + np.arange(len(glances)) / 10)
        assert len(glances) == int((frames - 1) / rate * 10 + 1e-9) + 1


def spoken(text: str, procedure: Procedure = ABC) -> list[Alarm | Ended]:
    """What is told live of labels that are seen without doubt, five a second."""
    classes = ("idle", "a", "b", "c")
    live = LiveSteps(procedure, classes, 5.0)
    told: list[Alarm | Ended] = []
    for i, name in enumerate(spelled(text)):
        sure = np.full(4, 0.01)
        sure[classes.index(name)] = 0.97
        told += live.add(i / 5, sure, i / 5)
    return told + live.finish()


def test_what_goes_wrong_is_told_at_once_and_the_verdict_at_the_end() -> None:
    alarm, ended = spoken("..aaaa..cccc....")
    assert isinstance(alarm, Alarm) and isinstance(ended, Ended)
    assert (alarm.error.kind, alarm.error.step) == ("early", "c")
    assert alarm.error.told == "was begun before b"
    assert alarm.known_s == pytest.approx(9 / 5)  # c began at frame 8 and must last two frames
    assert [(e.kind, e.step) for e in ended.errors] == [("missing", "b")]
    alarm, ended = spoken("..bbbb..aaaa..cccc..")
    assert isinstance(alarm, Alarm) and alarm.error.told == "was begun before a"
    assert isinstance(ended, Ended)
    assert [(e.kind, e.step) for e in ended.errors] == [("order", "b")]
    alarm, ended = spoken("." + "a" * 20 + "..bbbb..cccc..")
    assert isinstance(alarm, Alarm) and alarm.error.kind == "long"
    assert alarm.known_s == pytest.approx(16 / 5)  # the first frame above three seconds
    (ended,) = spoken("..aaaa..bbbb..cccc..")
    assert isinstance(ended, Ended) and ended.verdict.outcome == "pass"


def test_a_pause_ends_an_assembly_and_the_next_begins_anew() -> None:
    again = Procedure(ABC.name, ABC.steps, pause_s=1.0)
    told = spoken("..aaaa..bbbb..cccc......." + "..aaaa..bbbb.......", again)
    assert [getattr(x, "verdict", None) and x.verdict.outcome for x in told] == ["pass", "fail"]
    first, second = told
    assert isinstance(first, Ended) and isinstance(second, Ended)
    assert first.start_s == 0 and second.start_s == pytest.approx(first.end_s)
    assert [(e.kind, e.step) for e in second.errors] == [("missing", "c")]
    assert second.errors[0].span_s[0] > first.end_s


def test_the_watch_command_follows_a_procedure(
    backward: Path, films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = "".join(f"[[step]]\nname='{name}'\n" for name in assembly.STEPS)
    (tmp_path / "p.toml").write_text(steps)
    words = ["watch", str(backward), str(next(films.glob("*.mp4"))), "--procedure",
             str(tmp_path / "p.toml"), "--json"]  # fmt: skip
    code = run(program(), words)
    answer = json.loads(capsys.readouterr().out)
    assert answer["passed"] + answer["failed"] == 1 and code == (1 if answer["failed"] else 0)
    assert answer["events"][-1]["event"] == "verdict"


def test_checks_that_cannot_follow_steps_live_say_what_to_fit(films: Path) -> None:
    small = {"steps": 1, "size": 32, "width": 8, "layers": 1, "stages": 1, "warm_up": 0}
    with pytest.raises(CheckError, match="watching needs a check that looks back only"):
        LabelStream(fit("ms_tcn", films, small, calibrate=0))
    with pytest.raises(BadSettings, match=r"lag_s=0.5: expected 0, or more with causal"):
        fit("ms_tcn", films, {"lag_s": 0.5}, calibrate=0)
