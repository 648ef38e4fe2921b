"""Reader of clips: ``logits`` float32 (rows, k), a row for each view of a video.

Answers of the views are averaged as probabilities. A graph ``online``, where there is one, takes
single frames and its own state (see ``kernel.runtime.online``).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError, EmptyData
from triscope.kernel.data import GOOD, Dataset, Sample
from triscope.kernel.data.video import cut_of, open_video, open_videos, read_clip
from triscope.kernel.data.video.timeline import (
    IDLE,
    Timeline,
    has_spans,
    open_timelines,
    read_timeline,
)
from triscope.kernel.results import Finding, Zones
from triscope.kernel.runtime.boxes import class_name
from triscope.kernel.runtime.check import Check
from triscope.kernel.runtime.examined import MomentsExaminer, TimelineExaminer
from triscope.kernel.runtime.label import softmax
from triscope.kernel.runtime.reading import Examiner, Prepared, Reading


class MomentsCheck(Check):
    """What a video shows, with the span of the whole video as the moment.

    With a class ``good`` the score is the probability that it is not good; without one it is the
    doubt: one minus the probability of the class that was found.
    """

    answers = "Moments"
    needs_good_parts = False
    rows_at_once = 1  # graphs of clips have a fixed batch: on a CPU a larger one is not faster

    def captures(self, source: Any) -> Dataset:
        """The videos behind a folder, list or file; with their spans where those are known."""
        if self.card.input.get("kind") == "timeline" and has_spans(source):
            return open_timelines(source)
        return open_videos(source)

    def examiner(self) -> Examiner:
        """The confusion of whole videos, or of the frames of timelines and their segments."""
        if self.card.input.get("kind") == "timeline":
            return TimelineExaminer(self.card.classes, float(self.card.input["rate"]))
        return MomentsExaminer(self.card.classes)

    def knows(self, sample: Sample) -> bool:
        """Whether the label of a video, or its spans, are known."""
        return _wanted(sample) is not None

    def truth(self, sample: Sample, reading: Reading) -> str:
        """Without a class ``good`` the score is doubt: it should be high for wrong answers."""
        if GOOD in self.card.classes:
            return str(sample.label)
        return GOOD if _answered(reading) == _wanted(sample) else "answered wrongly"

    def prepare(self, sample: Sample) -> Prepared:
        """Read the views of a video: float32 (rows, 3, t, h, w) in [0, 1]."""
        start = perf_counter()
        if isinstance(sample.source, np.ndarray):
            raise DataError(
                f"{sample.name}: {self.label} looks at videos; give a file or a folder of pictures."
            )
        frames = open_video(sample.source)
        if self.card.input.get("kind") == "timeline":
            return self._timeline(frames, start)
        rows = read_clip(frames, cut_of(self.card.input))
        size = getattr(frames, "size", rows.shape[-2:])
        span = (0.0, float(getattr(frames, "duration_s", frames.times_s[-1])))
        inputs = {"clips": rows.astype(np.float32) / 255}
        return Prepared(inputs, size, perf_counter() - start, span)

    def _timeline(self, frames: Any, start: float) -> Prepared:
        """The whole video at a steady rate: float32 (1, 3, t, h, w)."""
        rate, side = float(self.card.input["rate"]), int(self.card.input["size"])
        seen = read_timeline(frames, rate, side)
        size = getattr(frames, "size", (side, side))
        inputs = {"frames": seen[None].astype(np.float32) / 255}
        return Prepared(inputs, size, perf_counter() - start, rate)

    def read(self, outputs: Mapping[str, Any], prepared: Prepared) -> Reading:
        """The most probable class over all views; of a timeline, its moments."""
        if self.card.input.get("kind") == "timeline":
            return self._moments(outputs, float(prepared.extra))
        probabilities = softmax(np.asarray(outputs["logits"], np.float64)).mean(axis=0)
        label = int(probabilities.argmax())
        name, sure = class_name(self.card.classes, label), float(probabilities[label])
        score = 1 - sure
        if GOOD in self.card.classes:
            score = 1 - float(probabilities[self.card.classes.index(GOOD)])
        found = () if name == GOOD else (Finding(name, sure, span_s=prepared.extra),)
        named = {
            class_name(self.card.classes, i): round(float(p), 6)
            for i, p in enumerate(probabilities)
        }
        return Reading(score, found, None, {"label": name, "probabilities": named})

    def _moments(self, outputs: Mapping[str, Any], rate: float) -> Reading:
        """Runs of one label but ``idle``; those shorter than a third of a second are taken over."""
        probabilities = softmax(np.asarray(outputs["logits"], np.float64))[0]  # (k, t)
        labels = without_short_runs(probabilities.argmax(axis=0), round(rate / 3))
        found = []
        for label, start, end in runs_of(labels):
            name = class_name(self.card.classes, label)
            if name != IDLE:
                sure = float(probabilities[label, start:end].mean())
                found.append(Finding(name, sure, span_s=(start / rate, end / rate)))
        doubt = 1 - float(probabilities.max(axis=0).mean())
        details = {"labels": [f.label for f in found], "duration_s": len(labels) / rate}
        return Reading(doubt, tuple(found), None, details)

    def calibrate(self, data: Any = None, **wishes: Any) -> Zones:
        """Choose the thresholds.

        With a class ``good`` as for every check. Without one there is nothing to promise of good
        parts: the review line is put where every held-out video below it was answered rightly,
        and no video fails by doubt alone. A timeline is right where the moments are those that are
        labelled, in their order.
        """
        if GOOD in self.card.classes:
            return super().calibrate(data, **wishes)
        from triscope.kernel.runtime.calibrating import held_out, of_own

        samples = held_out(self) if data is None else of_own(self, data)
        rights = [
            (reading.score, _answered(reading) == wanted)
            for sample, reading in self.readings(samples, workers=wishes.get("workers", 1))
            if (wanted := _wanted(sample)) is not None
        ]
        if not rights:
            raise EmptyData("no labelled video could be read to calibrate with.")
        zones = zones_of_doubt(rights)
        if data is not None:
            self.seen.drop([image.id for image in self.seen.of("calibrate")])
            self.seen.add(samples, "calibrate")
            self.held = samples
        promise = {"videos": len(rights), "right": sum(right for _, right in rights)}
        self.card = self.card.with_(zones=zones, promise=promise)
        return zones


def _wanted(sample: Sample) -> Any:
    """What a video should be answered with: its label, or those of its spans; None: unknown."""
    if isinstance(sample, Timeline):
        return [span.label for span in sample.spans if span.label != IDLE] or None
    return sample.label


def _answered(reading: Reading) -> Any:
    return reading.details.get("label", reading.details.get("labels"))


def zones_of_doubt(rights: list[tuple[float, bool]]) -> Zones:
    """The review line from pairs (doubt, answered rightly)."""
    wrong = [doubt for doubt, right in rights if not right]
    right = sum(good for _, good in rights)
    basis = f"{right} of {len(rights)} held-out videos answered rightly"
    if not wrong:
        highest = max(doubt for doubt, _ in rights)
        line = min(0.999, highest + 0.5 * (1 - highest))
        return Zones(line, 1.0, basis=f"{basis}; doubt up to {highest:.3f} met")
    line = max(0.0, min(wrong) - 1e-6)
    passed = sum(doubt <= line for doubt, _ in rights)
    told = (
        f"all {passed} below a doubt of {line:.3f} were right" if passed else "none was sure enough"
    )
    return Zones(line, 1.0, basis=f"{basis}; {told}")


def runs_of(labels: NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """Runs of equal labels: (label, start, end)."""
    cuts = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    return [(int(labels[a]), a, b) for a, b in itertools.pairwise(cuts) if b > a]


def without_short_runs(labels: NDArray[np.int64], least: int) -> NDArray[np.int64]:
    """Runs shorter than ``least`` frames get the label of the run before them."""
    out = labels.copy()
    for label, start, end in runs_of(labels):
        out[start:end] = label if end - start >= least or start == 0 else out[start - 1]
    return out
