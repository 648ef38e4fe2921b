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

from triscope.kernel.data.video import Gap, Live, camera_of, is_camera, open_video
from triscope.kernel.runtime.online import Stream
from triscope.motion.events import Event, Rules, Watcher
from triscope.motion.writing import VideoWriter

Item = Live | Gap


@dataclass
class Watched:
    """How a watch went."""

    frames: int = 0
    passed_over: int = 0
    events: int = 0
    gaps: int = 0
    gap_s: float = 0.0
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
    overlay: Path | None = None,
    rate: float = 25.0,
    told: Callable[[Event | Gap], None] = lambda _: None,
    longest_s: float = 0.0,
) -> Watched:
    """Feed frames to the check until they end (or ``longest_s`` is over); ``told`` gets events.

    A gap ends what was going on and clears what the check remembers.
    """
    stream, watcher, watched = Stream(check, stride=stride), _watcher(check, rules), Watched()
    with ExitStack() as stack:
        writer = stack.enter_context(VideoWriter(overlay, rate)) if overlay else None
        for item in items:
            if isinstance(item, Gap):
                watched.gaps, watched.gap_s = watched.gaps + 1, watched.gap_s + item.seconds
                _tell(watcher.finish(item.start_s), watched, told)
                stream.reset()
                told(item)
                continue
            began = perf_counter()
            glance = stream.feed(item.frame, item.time_s)
            watched.seconds += perf_counter() - began
            watched.frames += 1
            watched.passed_over += item.passed_over
            if glance is not None:
                _tell(watcher.add(glance.time_s, glance.probabilities), watched, told)
            if writer is not None:
                writer.add(drawn(item.frame, watcher, item.time_s))
            if longest_s and item.time_s >= longest_s:
                break
        _tell(watcher.finish(), watched, told)
    return watched


def _watcher(check: Any, rules: Rules) -> Watcher:
    return Watcher(check.card.classes, rules)


def _tell(events: list[Event], watched: Watched, told: Callable[[Any], None]) -> None:
    for event in events:
        watched.events += 1
        told(event)


def drawn(frame: NDArray[np.uint8], watcher: Watcher, time_s: float) -> NDArray[np.uint8]:
    """The frame with a bar for each class below it and the time."""
    h, w = frame.shape[:2]
    line = max(14, h // 18)
    panel = np.full((line * (len(watcher.labels) + 1), w, 3), 24, np.uint8)
    scale, thick = line / 32, max(1, line // 16)
    values = watcher.smoothed if watcher.smoothed is not None else np.zeros(len(watcher.labels))
    best = int(np.argmax(values))
    cv2.putText(
        panel, f"{time_s:7.2f} s", (4, line - 4), cv2.FONT_HERSHEY_SIMPLEX, scale,
        (200, 200, 200), thick, cv2.LINE_AA,
    )  # fmt: skip
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
        cv2.putText(
            panel, label[:24], (4, top + line - 5), cv2.FONT_HERSHEY_SIMPLEX, scale,
            (235, 235, 235), thick, cv2.LINE_AA,
        )  # fmt: skip
    return np.concatenate([frame, panel])
