"""How well a video was divided into steps: frame accuracy, edit score, F1 at an overlap.

The conventions are those of MS-TCN (arXiv:1903.01945). Whether the background counts moves F1@50 by
points: it is said by an argument, and by default it does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from triscope.errors import BadLabels


@dataclass(frozen=True)
class Segment:
    """Frames [start, end) of one label."""

    label: str
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


def segments_of(labels: Sequence[str]) -> list[Segment]:
    """Runs of equal labels."""
    found: list[Segment] = []
    for i, label in enumerate(labels):
        if found and found[-1].label == label:
            found[-1] = Segment(label, found[-1].start, i + 1)
        else:
            found.append(Segment(label, i, i + 1))
    return found


def frame_accuracy(found: Sequence[str], true: Sequence[str], ignore: Sequence[str] = ()) -> float:
    """The share of frames with the right label."""
    _same_length(found, true)
    pairs = [(f, t) for f, t in zip(found, true, strict=True) if t not in ignore]
    return float(np.mean([f == t for f, t in pairs])) if pairs else 1.0


def edit_score(found: Sequence[str], true: Sequence[str], ignore: Sequence[str] = ()) -> float:
    """One minus the Levenshtein distance of the orders of segments, over the longer one."""
    _same_length(found, true)
    a = [s.label for s in segments_of(found) if s.label not in ignore]
    b = [s.label for s in segments_of(true) if s.label not in ignore]
    if not a and not b:
        return 1.0
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return 1 - row[-1] / max(len(a), len(b))


@dataclass(frozen=True)
class Counts:
    """True, false and missed ones; they add up over videos."""

    true: int = 0
    false: int = 0
    missed: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.true + other.true, self.false + other.false, self.missed + other.missed)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 1 where nothing was there and nothing found."""
        whole = 2 * self.true + self.false + self.missed
        return 2 * self.true / whole if whole else 1.0


def overlap_counts(
    found: Sequence[str], true: Sequence[str], overlap: float, ignore: Sequence[str] = ()
) -> Counts:
    """Segments found with at least that overlap (intersection over union), each true one once."""
    _same_length(found, true)
    ours = [s for s in segments_of(found) if s.label not in ignore]
    theirs = [s for s in segments_of(true) if s.label not in ignore]
    taken: set[int] = set()
    right = 0
    for one in ours:
        ious = [_iou(one, other) if one.label == other.label else 0.0 for other in theirs]
        best = int(np.argmax(ious)) if ious else -1
        if best >= 0 and ious[best] >= overlap and best not in taken:
            taken.add(best)
            right += 1
    return Counts(right, len(ours) - right, len(theirs) - right)


def _iou(one: Segment, other: Segment) -> float:
    both = min(one.end, other.end) - max(one.start, other.start)
    return max(0, both) / (max(one.end, other.end) - min(one.start, other.start))


def _same_length(found: Sequence[str], true: Sequence[str]) -> None:
    if len(found) != len(true):
        raise BadLabels(
            f"metrics of steps want a label a frame on both sides, got {len(found)} and "
            f"{len(true)}."
        )
