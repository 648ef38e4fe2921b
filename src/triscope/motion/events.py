"""From probabilities frame by frame to events: smoothed, with hysteresis, a JSON line each."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadSettings


@dataclass(frozen=True)
class Rules:
    """When something counts as happening."""

    smooth_s: float = 0.5  # time constant of the running mean; 0: none
    enter: float = 0.6  # it begins above this probability
    leave: float = 0.4  # and ends below this one
    least_s: float = 0.3  # shorter is not told

    def __post_init__(self) -> None:
        """Raise BadSettings where the lines cross."""
        if not 0 < self.leave <= self.enter < 1:
            raise BadSettings(
                f"enter={self.enter:g}, leave={self.leave:g}: expected 0 < leave <= enter < 1."
            )
        if self.smooth_s < 0 or self.least_s < 0:
            raise BadSettings("smooth_s and least_s: expected 0 or more.")


@dataclass(frozen=True)
class Event:
    """Something that happened: [start, end) in seconds, its highest smoothed probability."""

    label: str
    start_s: float
    end_s: float
    score: float
    told_s: float  # when it was known that it had begun

    def line(self, source: str, topic: str = "triscope/motion") -> str:
        """One JSON object on one line, as a message broker takes it."""
        return json.dumps(
            {
                "topic": topic,
                "source": source,
                "event": self.label,
                "start_s": round(self.start_s, 3),
                "end_s": round(self.end_s, 3),
                "score": round(self.score, 4),
                "delay_s": round(self.told_s - self.start_s, 3),
            }
        )


class Watcher:
    """Takes probabilities in order, answers the events that have ended."""

    def __init__(
        self, labels: Sequence[str], rules: Rules = Rules(), quiet: Sequence[str] = ("idle", "good")
    ) -> None:
        self.labels, self.rules, self.quiet = tuple(labels), rules, set(quiet)
        self.smoothed: NDArray[np.float64] | None = None
        self._time: float | None = None
        self._open: dict[int, list[float]] = {}  # label -> start, highest, told

    @property
    def current(self) -> tuple[str, float]:
        """The most probable label now, smoothed."""
        if self.smoothed is None:
            return "", 0.0
        best = int(self.smoothed.argmax())
        return self.labels[best], float(self.smoothed[best])

    def add(
        self, time_s: float, probabilities: NDArray[np.float64], known_s: float | None = None
    ) -> list[Event]:
        """One more answer, and when it was known; the events that end with it."""
        if self.smoothed is None or self._time is None or self.rules.smooth_s == 0:
            self.smoothed = np.array(probabilities, np.float64)
        else:
            keep = math.exp(-max(0.0, time_s - self._time) / self.rules.smooth_s)
            self.smoothed = keep * self.smoothed + (1 - keep) * probabilities
        self._time = time_s
        ended = []
        for i, value in enumerate(self.smoothed.tolist()):
            if self.labels[i] in self.quiet:
                continue
            if i in self._open:
                self._open[i][1] = max(self._open[i][1], value)
                if value < self.rules.leave:
                    ended += self._close(i, time_s)
            elif value > self.rules.enter:
                self._open[i] = [time_s, value, time_s if known_s is None else known_s]
        return ended

    def finish(self, time_s: float | None = None) -> list[Event]:
        """The stream is over, or has a gap: whatever is going on ends."""
        end = self._time if time_s is None else time_s
        ended = [event for i in sorted(self._open) for event in self._close(i, end or 0.0)]
        self.smoothed, self._time = None, None
        return ended

    def _close(self, i: int, time_s: float) -> list[Event]:
        start, highest, told = self._open.pop(i)
        if time_s - start < self.rules.least_s:
            return []
        return [Event(self.labels[i], start, time_s, highest, told)]


def alarm_line(alarm: Any, source: str, topic: str = "triscope/motion") -> str:
    """A step that goes wrong, as a JSON line."""
    error = alarm.error
    return json.dumps(
        {
            "topic": topic,
            "source": source,
            "event": "alarm",
            "kind": error.kind,
            "step": error.step,
            "start_s": round(error.span_s[0], 3),
            "end_s": round(error.span_s[1], 3),
            "told": error.told,
            "known_s": round(alarm.known_s, 3),
        }
    )


def verdict_line(ended: Any, source: str, topic: str = "triscope/motion") -> str:
    """One assembly that was finished, as a JSON line."""
    return json.dumps(
        {
            "topic": topic,
            "source": source,
            "event": "verdict",
            "verdict": ended.verdict.outcome,
            "reason": ended.verdict.reason,
            "start_s": round(ended.start_s, 3),
            "end_s": round(ended.end_s, 3),
            "errors": [f"{e.kind}: {e.step}" for e in ended.errors],
        }
    )


def gap_line(gap: Any, source: str, topic: str = "triscope/motion") -> str:
    """A gap of a camera as a JSON line."""
    return json.dumps(
        {
            "topic": topic,
            "source": source,
            "event": "gap",
            "start_s": round(gap.start_s, 3),
            "end_s": round(gap.end_s, 3),
            "attempts": gap.attempts,
            "reason": gap.reason,
        }
    )
