"""Steps live: frame by frame as for the whole video, alarms at once, a verdict an assembly."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from stepping import ABC, spelled

import triscope
from triscope.cli import program
from triscope.cli._exits import run
from triscope.errors import BadSettings, CheckError
from triscope.kernel.data.video import open_video
from triscope.kernel.runtime.online_labels import LabelStream
from triscope.kernel.verbs import fit
from triscope.motion.steps.live import Alarm, Ended, LiveSteps
from triscope.motion.steps.procedure import Procedure
from triscope.motion.steps.running import check_video
from triscope.motion.synth import assembly


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
