"""Live: online tsm equals the offline one, windows slide, events begin and end, gaps are told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from moving import fitted, frames_of, saved, write

import triscope
from triscope.cli import program
from triscope.cli._exits import run
from triscope.errors import BadSettings, CheckError
from triscope.kernel.data.video import Gap, Live, open_video
from triscope.kernel.runtime.online import Stream
from triscope.motion.events import Event, Rules, Watcher
from triscope.motion.models.tsm import Online, network
from triscope.motion.watching import drawn, watch


@pytest.mark.parametrize(("kind", "least"), [(torch.float32, 1e-6), (torch.float64, 1e-14)])
def test_frame_by_frame_is_the_network_that_looks_back_only(
    kind: torch.dtype, least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each frame's answer, cached, equals the offline answer for that frame.

    oneDNN picks its kernels by the size of the batch, so that at 64 px even a network without any
    shift answers eight frames and one by 5e-6 differently; its kernels are left out here.
    """
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    torch.manual_seed(0)
    net = network("mobilenetv2", both=False, classes=5).to(kind).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):  # so that what is seen reaches the answer
            torch.nn.init.kaiming_normal_(module.weight)
    online = Online(net)
    frames = torch.randn(6, 3, 64, 64, dtype=kind)
    with torch.no_grad():
        net.tell(6)
        offline = net.head(net.features(frames))
        assert offline.std(0).min() > 1e-3
        state = online.start(frames[:1])
        assert [tuple(s.shape) for s in state][:2] == [(1, 3, 16, 16), (1, 4, 8, 8)]
        answers = []
        for frame in frames:
            logits, *after = online(frame[None], *state)
            state = tuple(after)
            answers.append(logits)
    cached = torch.cat(answers)
    assert (cached - offline).abs().max() <= least * offline.abs().max()
    two_way = network("mobilenetv2", both=True, classes=5).to(kind).eval()
    two_way.load_state_dict(net.state_dict())
    with torch.no_grad():
        two_way.tell(6)
        assert not torch.allclose(two_way.head(two_way.features(frames)), offline, atol=1e-3)


def test_the_saved_check_runs_online_without_recomputing(tmp_path: Path) -> None:
    check = triscope.open(saved("tsm"))
    stream = Stream(check)
    assert stream.online
    video = open_video(write(tmp_path / "long.mp4", frames_of("left", count=9)))
    glances = [stream.feed(frame, time_s) for time_s, frame in video.walk()]
    assert len(glances) == 9 and all(g is not None for g in glances)
    assert glances[0].probabilities.sum() == pytest.approx(1)
    first = glances[0].probabilities
    stream.reset()
    again = stream.feed(next(frame for _, frame in video.walk()), 0.0)
    assert np.allclose(again.probabilities, first)


def test_a_window_answers_like_the_clip_that_it_holds(tmp_path: Path) -> None:
    check = fitted("x3d")
    path = write(tmp_path / "exact.mp4", frames_of("right", count=9))  # (4 + 1 - 1) * 2 + 1
    stream = Stream(check, stride=1)
    glances = [stream.feed(frame, time_s) for time_s, frame in open_video(path).walk()]
    assert [g is None for g in glances] == [True] * 8 + [False]
    whole = check.inspect(path).details["probabilities"]
    assert glances[-1].probabilities == pytest.approx(list(whole.values()), abs=0.02)


def test_a_check_of_images_is_refused() -> None:
    check = triscope.open(saved("tsm"))
    check.card = check.card.with_(input={"kind": "timeline"})
    with pytest.raises(CheckError, match="watching needs a check that was fitted on clips"):
        Stream(check)


# ---- events -------------------------------------------------------------------------------------


def fed(watcher: Watcher, values: list[float], step: float = 0.1) -> list[Event]:
    events = []
    for i, value in enumerate(values):
        events += watcher.add(i * step, np.array([1 - value, value]))
    return events + watcher.finish()


def test_events_begin_above_one_line_and_end_below_the_other() -> None:
    rules = Rules(smooth_s=0, enter=0.6, leave=0.4, least_s=0.15)
    values = [0.1, 0.7, 0.5, 0.45, 0.9, 0.3, 0.65, 0.1, 0.8, 0.8, 0.8]
    events = fed(Watcher(("idle", "screw"), rules), values)
    spans = [(round(e.start_s, 3), round(e.end_s, 3), e.score) for e in events]
    assert spans == [(0.1, 0.5, 0.9), (0.8, 1.0, 0.8)]  # the short one at 0.6 s is not told


def test_smoothing_is_a_running_mean_in_seconds_whatever_the_frame_rate() -> None:
    for step in (0.05, 0.1):
        watcher = Watcher(("idle", "screw"), Rules(smooth_s=0.5))
        watcher.add(0.0, np.array([1.0, 0.0]))
        for i in range(1, round(1.0 / step) + 1):
            watcher.add(i * step, np.array([0.0, 1.0]))
        assert watcher.current == ("screw", pytest.approx(1 - np.exp(-2)))


def test_lines_that_cross_are_refused_and_an_event_is_one_json_line() -> None:
    with pytest.raises(BadSettings, match="expected 0 < leave <= enter < 1"):
        Rules(enter=0.3, leave=0.5)
    line = Event("screw", 1.0, 2.5, 0.91, 1.2).line("cam0")
    assert "\n" not in line
    assert json.loads(line) == {
        "topic": "triscope/motion", "source": "cam0", "event": "screw", "start_s": 1.0,
        "end_s": 2.5, "score": 0.91, "delay_s": 0.2,
    }  # fmt: skip


def test_a_gap_ends_what_was_going_on_and_is_counted() -> None:
    check = triscope.open(saved("tsm"))
    frames = frames_of("left", count=6)
    items = [Live(i / 10, frame, i + 1, i == 3) for i, frame in enumerate(frames)]
    told: list[object] = []
    watched = watch(
        check,
        [*items[:3], Gap(0.25, 4.0, 3, "unplugged"), *items[3:]],
        rules=Rules(smooth_s=0, enter=0.3, leave=0.2, least_s=0.0),
        told=told.append,
    )
    assert watched.frames == 6 and watched.gaps == 1 and watched.gap_s == pytest.approx(3.75)
    assert watched.passed_over == 1
    kinds = [type(item).__name__ for item in told]
    assert "Gap" in kinds and kinds.index("Gap") > 0  # the events before it were closed first
    before = [item for item in told[: kinds.index("Gap")] if isinstance(item, Event)]
    assert all(event.end_s == 0.25 for event in before)


def test_the_command_writes_lines_and_an_overlay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = write(tmp_path / "film.mp4", frames_of("left", count=12))
    words = ["watch", str(saved("tsm")), str(video), "--events", str(tmp_path / "events.jsonl"),
             "--overlay", str(tmp_path / "seen.mp4"), "--enter", "0.3", "--leave", "0.2",
             "--least", "0", "--json"]  # fmt: skip
    assert run(program(), words) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["frames"] == 12 and len(answer["events"]) >= 1
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == answer["events"]
    seen = open_video(tmp_path / "seen.mp4")
    assert len(seen) == 12 and seen.read([5]).shape[1] > 48


def test_a_long_alarm_stays_inside_the_picture() -> None:
    watcher = Watcher(("good", "a step with a very long name indeed"), Rules())
    frame = np.zeros((240, 320, 3), np.uint8)
    panel = drawn(frame, watcher, 7.7, "gear took 3.30 s, more than 3.2 s, and more")[240:]
    line = panel.shape[0] // 3
    alarm, names = panel[:line], panel[line:]
    assert (alarm[:, -40:] > 100).any()  # smaller letters, up to the border ...
    assert (alarm[:, -4:] == 24).all()  # ... and not beyond
    assert (names[:, 320 // 3 - 4 : 320 // 3] == 24).all()
