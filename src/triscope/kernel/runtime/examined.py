"""What is measured of videos: whole ones by their class, timelines frame by frame. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from triscope.errors import BadLabels
from triscope.kernel.data import Sample
from triscope.kernel.data.video.timeline import IDLE, Span, Timeline, labels_at
from triscope.kernel.metrics.named import Names
from triscope.kernel.metrics.segments import Counts, edit_score, frame_accuracy, overlap_counts
from triscope.kernel.runtime.label import LabelExaminer
from triscope.kernel.runtime.reading import Reading

OVERLAPS = (10, 25, 50)  # percent, as the field prints them


class MomentsExaminer(LabelExaminer):
    """Classes that were found beside the labels; also the best five, and calibration."""

    def __init__(self, classes: Sequence[str]) -> None:
        super().__init__(classes)
        self.sure: list[float] = []
        self.right: list[bool] = []
        self.among_five: list[bool] = []

    def take(self, sample: Sample, reading: Reading) -> None:
        """One video's class; one of an unknown label can be neither right nor wrong."""
        super().take(sample, reading)
        if sample.label in self.seen.unknown:
            return
        named = reading.details["probabilities"]
        best = sorted(named, key=lambda name: -named[name])
        self.sure.append(float(named[best[0]]))
        self.right.append(best[0] == sample.label)
        self.among_five.append(sample.label in best[:5])

    def result(self) -> dict[str, Any]:
        """See ``kernel.metrics.named``; ``top_5`` and ``calibration_error`` beside it."""
        from triscope.kernel.metrics.calibration_error import calibration_error

        more: dict[str, float | None] = {"top_5": None, "calibration_error": None}
        if self.sure:
            more = {
                "top_5": float(np.mean(self.among_five)),
                "calibration_error": calibration_error(self.sure, self.right),
            }
        return {**super().result(), **more}


class TimelineExaminer:
    """Moments that were found beside the spans that are labelled, at the check's frame rate.

    ``idle`` counts in the accuracy of frames and not in the scores of segments.
    """

    def __init__(self, classes: Sequence[str], rate: float) -> None:
        self.names, self.rate = Names(classes), rate
        self.accuracies: list[float] = []
        self.edits: list[float] = []
        self.counts = {overlap: Counts() for overlap in OVERLAPS}

    def take(self, sample: Sample, reading: Reading) -> None:
        """One video's moments."""
        if not isinstance(sample, Timeline):
            raise BadLabels(f"{sample.name}: no spans are known of this video (see steps.csv).")
        count = round(reading.details["duration_s"] * self.rate)
        spans = [Span(f.label, *f.span_s) for f in reading.findings if f.span_s is not None]
        found, true = (labels_at(s, count, self.rate) for s in (spans, sample.spans))
        for truth, name in zip(true, found, strict=True):
            self.names.add(truth, name)
        self.accuracies.append(frame_accuracy(found, true))
        self.edits.append(edit_score(found, true, (IDLE,)))
        for overlap in OVERLAPS:
            self.counts[overlap] += overlap_counts(found, true, overlap / 100, (IDLE,))

    def result(self) -> dict[str, Any]:
        """``frame_accuracy``, ``edit``, ``f1_10`` ...; ``matrix`` and ``classes`` in frames."""
        named = self.names.result()
        rows = [{"frames" if k == "captures" else k: v for k, v in row.items()}
                for row in named["classes"]]  # fmt: skip
        return {
            "frame_accuracy": float(np.mean(self.accuracies)) if self.accuracies else None,
            "edit": float(np.mean(self.edits)) if self.edits else None,
            **{f"f1_{overlap}": self.counts[overlap].f1 for overlap in OVERLAPS},
            "matrix": named["matrix"],
            "classes": rows,
            "unknown": named["unknown"],
        }
