"""A check that labels frames, against a procedure: one video, or many with known errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadSettings, CheckError
from triscope.kernel.data import Sample
from triscope.kernel.metrics.segments import Segment, segments_of
from triscope.kernel.results import Inspection
from triscope.kernel.runtime.check import as_sample
from triscope.kernel.runtime.label import softmax
from triscope.motion.steps.checking import StepError, check_steps, verdict_of
from triscope.motion.steps.decoding import decode
from triscope.motion.steps.procedure import Procedure


@dataclass(frozen=True, eq=False)
class Checked:
    """What was seen in a video and what was wrong with it."""

    inspection: Inspection
    errors: tuple[StepError, ...]
    labels: tuple[str, ...]  # of each frame, after decoding
    probabilities: NDArray[np.float64]  # (t, k)
    rate: float  # frames a second of the labels

    @property
    def segments(self) -> list[Segment]:
        """Runs of equal labels."""
        return segments_of(self.labels)


def check_video(check: Any, source: Any, procedure: Procedure) -> Checked:
    """Read a video, decode its steps and compare them with the procedure.

    Raises CheckError for a check of another kind, BadSettings for steps that it does not know.
    """
    if check.card.input.get("kind") != "timeline":
        raise CheckError(
            f"{check.label} does not label frames: steps need a check that was fitted with "
            "'triscope fit ms_tcn' or 'asformer'."
        )
    must_know(check.card.classes, procedure)
    sample = source if isinstance(source, Sample) else as_sample(source)
    prepared = check.prepare(sample)
    logits = np.asarray(check.compute([prepared])[0]["logits"], np.float64)
    probabilities = softmax(logits)[0].T  # (t, k)
    rate = float(prepared.extra)
    least = shortest_runs(procedure, rate)
    labels = decode(probabilities, check.card.classes, procedure=procedure, shortest=least)
    errors = check_steps(labels, rate, procedure)
    inspection = Inspection(
        sample.name,
        verdict_of(errors),
        float(len(errors)),
        tuple(error.finding() for error in errors),
        image_size=prepared.image_size,
        check=check.label,
        seconds={"read": prepared.read_s},
        details={"procedure": procedure.name, "steps": _told(labels, rate, procedure)},
    )
    return Checked(inspection, tuple(errors), tuple(labels), probabilities, rate)


def shortest_runs(procedure: Procedure, rate: float) -> dict[str, int]:
    """Frames that each step lasts at least: half of what it should, so that too short is seen."""
    return {s.name: max(2, round(min(s.min_s, 1.0) * rate / 2)) for s in procedure.steps}


def must_know(classes: Sequence[str], procedure: Procedure) -> None:
    """Raise BadSettings for a step that the check never learned."""
    unknown = [step.name for step in procedure.steps if step.name not in classes]
    if unknown:
        raise BadSettings(
            f"procedure {procedure.name!r} has the step {unknown[0]!r}, which this check does not "
            f"know. It knows: {', '.join(classes)}."
        )


def _told(labels: Sequence[str], rate: float, procedure: Procedure) -> list[dict[str, Any]]:
    return [
        {"step": s.label, "start_s": round(s.start / rate, 2), "end_s": round(s.end / rate, 2)}
        for s in segments_of(labels)
        if s.label != procedure.background
    ]


def online_delay(
    probabilities: NDArray[np.float64], true: Sequence[str], classes: Sequence[str], rate: float
) -> float:
    """Mean seconds from the true begin of a step to the first frame that names it (causal nets).

    A step that is not named while it lasts counts with its whole length.
    """
    found = [classes[i] for i in probabilities.argmax(axis=1)]
    delays = []
    for run in segments_of(true):
        hits = [t for t in range(run.start, min(run.end, len(found))) if found[t] == run.label]
        delays.append(((hits[0] if hits else run.end) - run.start) / rate)
    return float(np.mean(delays)) if delays else 0.0
