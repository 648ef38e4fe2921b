"""Steps: procedures, errors with their span, metrics, decoding, painted assemblies, tables."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from stepping import ABC, spelled

from triscope.errors import BadLabels, BadSettings, EmptyData
from triscope.kernel.data.video import open_video
from triscope.kernel.data.video.timeline import labels_at, numbers_at, open_timelines
from triscope.kernel.metrics.segments import (
    Counts,
    edit_score,
    frame_accuracy,
    overlap_counts,
    segments_of,
)
from triscope.motion.steps.checking import check_steps, error_counts, verdict_of
from triscope.motion.steps.decoding import change_costs, decode, viterbi
from triscope.motion.steps.procedure import Procedure, Step, read_procedure
from triscope.motion.synth import assembly

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
