"""Were the steps done, in order, in time? Each error with its span."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from triscope.kernel.metrics.segments import Counts, Segment, segments_of
from triscope.kernel.results import Finding, Verdict
from triscope.motion.steps.procedure import Procedure, Step

Kind = Literal["missing", "order", "short", "long", "repeated", "unknown", "late", "early"]


@dataclass(frozen=True)
class StepError:
    """One thing that was done wrong: which step, how, and where in the video (seconds)."""

    kind: Kind
    step: str
    span_s: tuple[float, float]
    told: str

    def finding(self) -> Finding:
        """As a finding of an inspection."""
        return Finding(f"{self.kind}: {self.step}", 1.0, span_s=self.span_s)


def check_steps(labels: Sequence[str], rate: float, procedure: Procedure) -> list[StepError]:
    """The errors in a video whose frames carry these labels, ``rate`` frames a second."""
    done = [s for s in segments_of(labels) if s.label != procedure.background]
    end_s = len(labels) / rate
    errors: list[StepError] = []
    known = [s for s in done if s.label in procedure.labels]
    for segment in done:
        if segment.label not in procedure.labels:
            errors.append(_error("unknown", segment, rate, "is no step of this procedure"))
    for step in procedure.steps:
        errors += _of_step(step, known, procedure, rate, end_s)
    errors += _out_of_order(known, procedure, rate)
    if end_s > procedure.total_s:
        told = f"the whole took {end_s:.1f} s, more than {procedure.total_s:g} s"
        errors.append(StepError("late", procedure.name, (procedure.total_s, end_s), told))
    return sorted(errors, key=lambda error: error.span_s)


def _of_step(
    step: Step, known: Sequence[Segment], procedure: Procedure, rate: float, end_s: float
) -> list[StepError]:
    """Too few, too many, too short, too long."""
    runs = [s for s in known if s.label == step.name]
    errors: list[StepError] = []
    if len(runs) < step.repeats and not (step.optional and not runs):
        told = f"was done {len(runs)} of {step.repeats} times"
        span = _gap(known, step.name, procedure, rate, end_s)
        errors.append(StepError("missing", step.name, span, told))
    for extra in runs[step.repeats :]:
        often = "once" if step.repeats == 1 else f"{step.repeats} times"
        told = f"was done more than {often}"
        errors.append(_error("repeated", extra, rate, told))
    for run in runs[: step.repeats]:
        seconds = len(run) / rate
        if seconds < step.min_s:
            told = f"took {seconds:.2f} s, less than {step.min_s:g} s"
            errors.append(_error("short", run, rate, told))
        elif seconds > step.max_s:
            told = f"took {seconds:.2f} s, more than {step.max_s:g} s"
            errors.append(_error("long", run, rate, told))
    return errors


def _out_of_order(known: Sequence[Segment], procedure: Procedure, rate: float) -> list[StepError]:
    """Steps that were begun before one that must come first, and that was done later."""
    errors = []
    for i, segment in enumerate(known):
        if any(s.label == segment.label for s in known[:i]):
            continue
        earlier = {s.label for s in known[:i]}
        later = {s.label for s in known[i + 1 :]}
        late = sorted(name for name in procedure.before(segment.label) if name in later - earlier)
        if late:
            errors.append(_error("order", segment, rate, f"was done before {', '.join(late)}"))
    return errors


def _gap(
    known: Sequence[Segment], name: str, procedure: Procedure, rate: float, end_s: float
) -> tuple[float, float]:
    """Where a missing step should have been: between those before it and those after it."""
    before = procedure.before(name)
    after = {step.name for step in procedure.steps if name in procedure.before(step.name)}
    start = max((s.end for s in known if s.label in before), default=0) / rate
    end = min(
        (s.start / rate for s in known if s.label in after and s.start / rate >= start),
        default=end_s,
    )
    return start, max(start, end)


def _error(kind: Kind, segment: Segment, rate: float, told: str) -> StepError:
    return StepError(kind, segment.label, (segment.start / rate, segment.end / rate), told)


def verdict_of(errors: Sequence[StepError]) -> Verdict:
    """Fail with the first error told, or pass."""
    if not errors:
        return Verdict("pass", "all steps were done, in order and in time")
    first = errors[0]
    more = f" and {len(errors) - 1} more" if len(errors) > 1 else ""
    start, end = first.span_s
    return Verdict("fail", f"{first.step} {first.told} ({start:.1f} to {end:.1f} s){more}")


def error_counts(found: Sequence[StepError], true: Sequence[tuple[str, str]]) -> Counts:
    """Errors found rightly, wrongly and missed; ``true`` are pairs (kind, step)."""
    waiting = list(true)
    right = 0
    for error in found:
        if (error.kind, error.step) in waiting:
            waiting.remove((error.kind, error.step))
            right += 1
    return Counts(right, len(found) - right, len(waiting))
