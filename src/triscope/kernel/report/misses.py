"""Findings beside known defects: which were missed, which are false alarms, and their pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError
from triscope.kernel.data import Sample, mask_of, read_image
from triscope.kernel.geometry.boxes import iou
from triscope.kernel.report import pictures
from triscope.kernel.report.choice import Kept
from triscope.kernel.report.page import Section
from triscope.kernel.report.sections.misses import Miss, Rectangle, misses
from triscope.kernel.results import Finding, Inspection

Box = tuple[float, float, float, float]
Named = tuple[str, Box]
MOST = 12  # pieces of each kind
MARGIN = 0.5  # of the longer side of the box, on each side
LEAST = 48  # pixels of a side of a piece
SIDE = 220  # of its picture in the page
RULES = {
    "Boxes": (0.5, "A box is right where it overlaps a true one of its class by IoU 0.5 or more."),
    "Masks": (0.0, "A region is right where its box touches that of a drawn defect of its class."),
}


@dataclass(frozen=True, eq=False)
class Compared:
    """One capture: what was there, what was found, and which of them have no counterpart."""

    truths: Sequence[Named]
    found: Sequence[tuple[str, Box, float]]
    missed: Sequence[int]
    alarms: Sequence[int]


class Misses:
    """Counts what one kind of check misses on captures whose defects are known."""

    def __init__(self, answers: str) -> None:
        self.above, self.rule = RULES.get(answers, (0.0, ""))
        self.answers = answers
        self.truths = self.missed = self.alarms = self.captures = 0
        self._missed: Kept[Miss] = Kept(MOST)
        self._alarms: Kept[Miss] = Kept(MOST)

    def add(self, answer: Inspection, sample: Sample | None) -> None:
        """One capture; those of which nothing is known, or no place of the defect, stay out."""
        truths = self._truths(answer, sample)
        if sample is None or truths is None:
            return
        compared = compare(truths, answer.findings, self.above)
        self.captures += 1
        self.truths += len(truths)
        self.missed += len(compared.missed)
        self.alarms += len(compared.alarms)
        self._offer(compared, sample)

    def section(self) -> Section | None:
        """The section; None where nothing was known."""
        if not self.captures or not self.rule:
            return None
        items = [*self._missed.items(), *self._alarms.items()]
        return misses(items, self.missed, self.alarms, self.truths, self.rule)

    def _truths(self, answer: Inspection, sample: Sample | None) -> list[Named] | None:
        if not self.rule or sample is None or sample.label is None:
            return None
        if sample.boxes:
            return [(box.label, box.box) for box in sample.boxes if not box.difficult]
        if sample.good:
            return []
        if sample.mask is None or answer.image_size is None:
            return None
        try:
            mask = mask_of(sample.mask, answer.image_size, sample.name)
        except DataError:
            return None
        return [(str(sample.label), box) for box in boxes_of(mask)]

    def _offer(self, compared: Compared, sample: Sample) -> None:
        wanted: list[tuple[Kept[Miss], float, str, int]] = []
        for i in compared.missed:
            x0, y0, x1, y1 = compared.truths[i][1]
            wanted.append((self._missed, (x1 - x0) * (y1 - y0), "missed", i))
        for i in compared.alarms:
            wanted.append((self._alarms, compared.found[i][2], "alarm", i))
        wanted = [entry for entry in wanted if entry[0].wants(entry[1])]
        if not wanted:
            return
        try:
            image = read_image(sample.source)
        except DataError:
            return
        for kept, rank, kind, i in wanted:
            kept.add(rank, _piece(image, compared, sample.name, kind, i))


def compare(truths: Sequence[Named], findings: Sequence[Finding], above: float) -> Compared:
    """Match findings to truths of their class, the strongest first, each truth once.

    ``above`` is the IoU that counts; at 0 any common area does, and a truth may be met by several.
    """
    found = [(f.label, f.box, f.score) for f in findings if f.box is not None]
    found.sort(key=lambda entry: -entry[2])
    shared = np.zeros((len(found), len(truths)))
    if found and truths:
        shared = iou(np.array([f[1] for f in found]), np.array([t[1] for t in truths]))
    met: set[int] = set()
    alarms = []
    for i, (label, _, _) in enumerate(found):
        rivals = [
            j
            for j, (name, _) in enumerate(truths)
            if name == label and (shared[i, j] >= above if above else shared[i, j] > 0)
        ]
        if above:
            rivals = sorted((j for j in rivals if j not in met), key=lambda j: -shared[i, j])[:1]
        met.update(rivals)
        if not rivals:
            alarms.append(i)
    missed = [j for j in range(len(truths)) if j not in met]
    return Compared(truths, found, missed, alarms)


def boxes_of(mask: NDArray[np.bool_]) -> list[Box]:
    """The boxes of the connected regions of a mask (8 neighbours)."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    corners = [tuple(int(v) for v in row[:4]) for row in stats[1:count]]
    return [(float(x), float(y), float(x + w), float(y + h)) for x, y, w, h in corners]


def _piece(image: NDArray[Any], compared: Compared, name: str, kind: str, number: int) -> Miss:
    box = compared.truths[number][1] if kind == "missed" else compared.found[number][1]
    x0, y0, x1, y1 = window(box, (image.shape[0], image.shape[1]))

    def within(other: Box) -> Rectangle:
        left, top = other[0] - x0, other[1] - y0
        sides = (other[2] - other[0], other[3] - other[1])
        return round(left, 1), round(top, 1), round(sides[0], 1), round(sides[1], 1)

    return Miss(
        kind,
        _text(compared, kind, number),
        name,
        pictures.picture_bytes(image[y0:y1, x0:x1], SIDE),
        (x1 - x0, y1 - y0),
        within(box),
        [within(b) for i, (_, b, _) in enumerate(compared.found) if kind != "alarm" or i != number],
        [within(b) for i, (_, b) in enumerate(compared.truths) if kind != "missed" or i != number],
    )


def _text(compared: Compared, kind: str, number: int) -> str:
    if kind == "missed":
        label, box = compared.truths[number]
        others = [(name, other) for name, other, _ in compared.found if name != label]
        taken = _largest_overlap(box, others)
        return f"{label} not found" + (f", taken for {taken}" if taken else "")
    label, box, score = compared.found[number]
    taken = _largest_overlap(box, [truth for truth in compared.truths if truth[0] != label])
    return f"{label} {score:.2f}" + (f" on {taken}" if taken else "")


def _largest_overlap(box: Box, others: Sequence[Named]) -> str:
    """The class of the box that shares most with this one, from IoU 0.5 on; or nothing."""
    if not others:
        return ""
    shared = iou(np.array([box]), np.array([other for _, other in others]))[0]
    best = int(shared.argmax())
    return others[best][0] if shared[best] >= 0.5 else ""


def window(box: Box, hw: tuple[int, int]) -> tuple[int, int, int, int]:
    """A square about a box with some of what surrounds it, cut at the borders of the image."""
    x0, y0, x1, y1 = box
    half = max((0.5 + MARGIN) * max(x1 - x0, y1 - y0), LEAST / 2)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    left, top = max(0, int(x - half)), max(0, int(y - half))
    right, bottom = min(hw[1], int(np.ceil(x + half))), min(hw[0], int(np.ceil(y + half)))
    return left, top, max(right, left + 1), max(bottom, top + 1)
