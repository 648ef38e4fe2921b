"""A check on a camera or a video as it runs: events as they end, an overlay where it is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.errors import CheckError
from triscope.kernel.data.video import Gap, Live, camera_of, is_camera, open_video
from triscope.kernel.runtime.online import Glance, Stream
from triscope.kernel.runtime.online_labels import LabelStream
from triscope.motion.events import Event, Rules, Watcher
from triscope.motion.steps.live import Alarm, Ended, LiveSteps
from triscope.motion.steps.procedure import Procedure
from triscope.motion.writing import VideoWriter

LEAST_WIDTH = 320  # of an overlay, in pixels
Item = Live | Gap
Colour = tuple[int, int, int]
Told = Event | Gap | Alarm | Ended


@dataclass
class Watched:
    """How a watch went."""

    frames: int = 0
    passed_over: int = 0
    events: int = 0
    gaps: int = 0
    gap_s: float = 0.0
    alarms: int = 0
    passed: int = 0  # assemblies
    failed: int = 0
    seconds: float = 0.0  # of the check alone

    @property
    def rate(self) -> float:
        """Frames a second that the check could take."""
        return self.frames / self.seconds if self.seconds else 0.0


def frames_of(source: str) -> Iterator[Item]:
    """A camera's frames and gaps, or a file's frames with their own times."""
    if is_camera(source):
        with camera_of(source) as camera:
            yield from camera
        return
    for number, (time_s, frame) in enumerate(open_video(source).walk(), start=1):
        yield Live(time_s, frame, number)


def watch(
    check: Any,
    items: Iterable[Item],
    *,
    rules: Rules = Rules(),
    stride: int = 4,
    procedure: Procedure | None = None,
    overlay: Path | None = None,
    rate: float = 25.0,
    told: Callable[[Told], None] = lambda _: None,
    longest_s: float = 0.0,
) -> Watched:
    """Feed frames to the check until they end (or ``longest_s`` is over); ``told`` gets events.

    A gap ends what was going on and clears what the check remembers. With a procedure, alarms and
    the verdict of each assembly are told beside the events of single steps.
    """
    going = _Going(check, rules, stride, procedure, told)
    with ExitStack() as stack:
        writer = stack.enter_context(VideoWriter(overlay, rate)) if overlay else None
        for item in items:
            if isinstance(item, Gap):
                going.gap(item)
                continue
            going.frame(item)
            if writer is not None:
                writer.add(drawn(item.frame, going.watcher, item.time_s, going.last_alarm))
            if longest_s and item.time_s >= longest_s:
                break
        going.end()
    return going.watched


class _Going:
    """A watch that goes on: the stream, what is made of its answers, and the counts."""

    def __init__(
        self,
        check: Any,
        rules: Rules,
        stride: int,
        procedure: Procedure | None,
        told: Callable[[Told], None],
    ) -> None:
        labels_frames = check.card.input.get("kind") == "timeline"
        self.stream = LabelStream(check) if labels_frames else Stream(check, stride=stride)
        self.watcher, self.watched = Watcher(check.card.classes, rules), Watched()
        self.steps: LiveSteps | None = None
        self.last_alarm = ""
        self._told = told
        if procedure is not None:
            if not isinstance(self.stream, LabelStream):
                raise CheckError(
                    f"{check.label} does not label frames: a procedure needs a check that was "
                    "fitted with 'triscope fit ms_tcn DATA --causal'."
                )
            self.steps = LiveSteps(procedure, check.card.classes, self.stream.rate)

    def frame(self, item: Live) -> None:
        """One frame of the source."""
        began = perf_counter()
        glances = self.stream.see(item.frame, item.time_s)
        self.watched.seconds += perf_counter() - began
        self.watched.frames += 1
        self.watched.passed_over += item.passed_over
        self._take(glances)

    def gap(self, gap: Gap) -> None:
        """The camera gave nothing for a while."""
        self.watched.gaps += 1
        self.watched.gap_s += gap.seconds
        self._finish(gap.start_s)
        self.stream.reset()
        self._told(gap)

    def end(self) -> None:
        """The source is over."""
        self._take(self.stream.end())
        self._finish(None)

    def _take(self, glances: Iterable[Glance]) -> None:
        for glance in glances:
            self._tell(self.watcher.add(glance.time_s, glance.probabilities, glance.known_s))
            if self.steps is not None:
                found = self.steps.add(glance.time_s, glance.probabilities, glance.known_s)
                self._tell(found)

    def _finish(self, time_s: float | None) -> None:
        self._tell(self.watcher.finish(time_s))
        if self.steps is not None:
            self._tell(self.steps.finish())

    def _tell(self, found: Iterable[Event | Alarm | Ended]) -> None:
        for one in found:
            if isinstance(one, Event):
                self.watched.events += 1
            elif isinstance(one, Alarm):
                self.watched.alarms += 1
                self.last_alarm = f"{one.error.step} {one.error.told}"
            elif one.errors:
                self.watched.failed += 1
                self.last_alarm = ""
            else:
                self.watched.passed += 1
                self.last_alarm = ""
            self._told(one)


def drawn(
    frame: NDArray[np.uint8], watcher: Watcher, time_s: float, alarm: str = ""
) -> NDArray[np.uint8]:
    """The frame with a bar for each class below it, the time and the alarm that stands."""
    if frame.shape[1] < LEAST_WIDTH:  # so that names can be read
        times = -(-LEAST_WIDTH // frame.shape[1])
        frame = frame.repeat(times, axis=0).repeat(times, axis=1)
    h, w = frame.shape[:2]
    line = max(14, h // 18)
    panel = np.full((line * (len(watcher.labels) + 1), w, 3), 24, np.uint8)
    scale = line / 32
    values = watcher.smoothed if watcher.smoothed is not None else np.zeros(len(watcher.labels))
    best = int(np.argmax(values))
    colour = (240, 110, 100) if alarm else (200, 200, 200)
    _write(panel, f"{time_s:7.2f} s  {alarm}", line - 4, w - 8, scale, colour)
    for i, label in enumerate(watcher.labels):
        top = line * (i + 1)
        sure = float(values[i])
        begun = sure > watcher.rules.enter
        colour = (90, 190, 110) if begun else (90, 120, 160) if i == best else (70, 70, 80)
        cv2.rectangle(
            panel,
            (w // 3, top + 3),
            (w // 3 + int(sure * (w * 2 // 3 - 6)), top + line - 3),
            colour,
            -1,
        )
        _write(panel, label, top + line - 5, w // 3 - 12, scale, (235, 235, 235))
    return np.concatenate([frame, panel])


def _write(
    panel: NDArray[np.uint8], text: str, y: int, room: int, scale: float, colour: Colour
) -> None:
    """A line of text at the left, made smaller where it would not fit into ``room`` pixels."""
    wide = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)[0][0]
    scale *= min(1.0, room / max(1, wide))
    thick = max(1, round(2 * scale))
    cv2.putText(panel, text, (4, y), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thick, cv2.LINE_AA)
