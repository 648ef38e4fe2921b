"""Steps as they are done: an alarm as soon as something goes wrong, a verdict at the end.

While an assembly goes on, a step that is begun before its turn is told as ``early``: whether the
steps before it are missing or only out of order is known at the end. What was told is not taken
back; the verdict is that of the whole, as `check_steps` gives it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from triscope.kernel.metrics.segments import Segment, segments_of
from triscope.kernel.results import Verdict
from triscope.motion.steps.checking import StepError, check_steps, verdict_of
from triscope.motion.steps.decoding import Costs, Walk, change_costs, logs_of, runs_of
from triscope.motion.steps.procedure import Procedure
from triscope.motion.steps.running import must_know, shortest_runs

AT_THE_END = ("missing", "order")  # what only the whole tells


@dataclass(frozen=True)
class Alarm:
    """Something that goes wrong, and when that was known (seconds)."""

    error: StepError
    known_s: float


@dataclass(frozen=True)
class Ended:
    """One assembly from its first frame to its last."""

    verdict: Verdict
    errors: tuple[StepError, ...]
    labels: tuple[str, ...]
    start_s: float
    end_s: float


@dataclass
class LiveSteps:
    """Takes probabilities frame by frame, at a steady rate; answers alarms and verdicts.

    Raises BadSettings for a step that the check does not know.
    """

    procedure: Procedure
    classes: Sequence[str]
    rate: float
    costs: Costs = field(default_factory=Costs)
    _told: set[tuple[str, str]] = field(default_factory=set)
    _ended: int = 0  # assemblies

    def __post_init__(self) -> None:
        must_know(self.classes, self.procedure)
        self._least = shortest_runs(self.procedure, self.rate)
        self._start_s: float | None = None
        self._restart()

    def add(
        self, time_s: float, probabilities: NDArray[np.float64], known_s: float
    ) -> list[Alarm | Ended]:
        """One more frame; what it makes known."""
        if self._start_s is None:
            self._start_s = time_s
        self._walk.add(logs_of(probabilities))
        self._count += 1
        labels = [self.classes[i] for i in self._walk.path()]
        found: list[Alarm | Ended] = []
        for error in self._errors_so_far(labels):
            if (error.kind, error.step) not in self._told:
                self._told.add((error.kind, error.step))
                found.append(Alarm(self._placed(error), known_s))
        return found + (self.finish() if self._paused(labels) else [])

    def finish(self) -> list[Alarm | Ended]:
        """The assembly is over: its verdict; nothing where no frame was seen, or only the idle
        time behind an assembly."""
        labels = tuple(self.classes[i] for i in self._walk.path())
        if self._start_s is None or (self._ended and set(labels) <= {self.procedure.background}):
            self._restart()
            return []
        self._ended += 1
        start, end = self._start_s, self._start_s + self._count / self.rate
        errors = tuple(check_steps(labels, self.rate, self.procedure))
        placed = tuple(map(self._placed, errors))
        self._restart()
        return [Ended(verdict_of(placed), placed, labels, start, end)]

    def _restart(self) -> None:
        table = change_costs(self.classes, self.procedure, self.costs)
        self._walk = Walk(table, runs_of(self.classes, self._least))
        self._start_s, self._count = None, 0
        self._told.clear()

    def _paused(self, labels: Sequence[str]) -> bool:
        """Whether something was done, and then nothing for as long as ends an assembly."""
        last = segments_of(labels)[-1]
        idle = last.label == self.procedure.background and last.start > 0
        return idle and len(last) / self.rate >= self.procedure.pause_s

    def _errors_so_far(self, labels: Sequence[str]) -> list[StepError]:
        """What is wrong already, whatever comes."""
        runs = segments_of(labels)
        if len(runs[-1]) < self._least.get(runs[-1].label, 1):  # not sure yet that it began
            labels, runs = labels[: runs[-1].start], runs[:-1]
        if not runs:
            return []
        errors = [
            error
            for error in check_steps(labels, self.rate, self.procedure)
            if error.kind not in AT_THE_END
            and not (error.kind == "short" and error.span_s[1] >= len(labels) / self.rate)
        ]
        return errors + self._early(runs)

    def _early(self, runs: Sequence[Segment]) -> list[StepError]:
        """Steps that were begun while one that must come before was not done."""
        steps = {step.name: step for step in self.procedure.steps}
        done: set[str] = set()
        errors = []
        for run in runs:
            if run.label in steps and run.label not in done:
                needed = self.procedure.before(run.label) - done
                waiting = sorted(name for name in needed if not steps[name].optional)
                if waiting:
                    span = (run.start / self.rate, run.end / self.rate)
                    told = f"was begun before {', '.join(waiting)}"
                    errors.append(StepError("early", run.label, span, told))
            done.add(run.label)
        return errors

    def _placed(self, error: StepError) -> StepError:
        """With the times of the stream."""
        begin, end = (time + (self._start_s or 0.0) for time in error.span_s)
        return StepError(error.kind, error.step, (begin, end), error.told)
