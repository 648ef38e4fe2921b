"""Reader of boxes: what was found, where, and of which class; suppression is inside the graph.

Outputs: ``boxes`` float32 (n, 4) xyxy in pixels of the input, ``labels`` int64 (n,) into the card's
classes, ``scores`` float32 (n,) in [0, 1], and ``rows`` int64 (n,): the row of the batch that each
is of; it may be left out by graphs that take one image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.kernel.data import Sample
from triscope.kernel.results import Finding
from triscope.kernel.runtime.image import ImageCheck, Placed
from triscope.kernel.runtime.reading import Prepared, Reading

SAME = 0.6  # boxes of a class that share so much of the smaller one are one finding


class BoxesCheck(ImageCheck):
    """Known defects, each with its box; the score of a capture is that of its best box.

    Findings are the boxes above ``zones.pixel_above``, or above the review line where that is not
    set, so that a part that passes has none; what the graph saw below it are candidates.
    """

    answers = "Boxes"
    scores_are_probabilities = True

    def split(
        self, pieces: Sequence[Mapping[str, Any]], counts: Sequence[int]
    ) -> list[dict[str, Any]]:
        """The boxes of each capture; ``rows`` then count from the capture's first row."""
        found = {name: [piece[name] for piece in pieces] for name in ("boxes", "labels", "scores")}
        rows = [
            np.asarray(piece.get("rows", np.zeros(len(piece["boxes"])))) + i * self.rows_at_once
            for i, piece in enumerate(pieces)
        ]
        whole = {name: np.concatenate(arrays) for name, arrays in (found | {"rows": rows}).items()}
        ends = np.cumsum(counts)
        captures = []
        for end, count in zip(ends, counts, strict=True):
            mine = (whole["rows"] >= end - count) & (whole["rows"] < end)
            one = {name: array[mine] for name, array in whole.items()}
            captures.append({**one, "rows": one["rows"] - (end - count)})
        return captures

    def read(self, outputs: Mapping[str, Any], prepared: Prepared) -> Reading:
        """Boxes in pixels of the capture, the strongest first."""
        windows = prepared.extra.placed
        boxes = np.asarray(outputs["boxes"], np.float64).reshape(-1, 4)
        rows = np.asarray(outputs["rows"], np.intp)
        for row, place in enumerate(windows):
            boxes[rows == row] = in_capture(boxes[rows == row], place)
        boxes = np.clip(boxes, 0, [*prepared.image_size[::-1]] * 2)
        scores, labels = np.asarray(outputs["scores"]), np.asarray(outputs["labels"])
        order = np.argsort(-scores, kind="stable")
        if len(windows) > 1:
            order = distinct(boxes, labels, order)
        seen = [self._finding(boxes[i], float(scores[i]), int(labels[i])) for i in order]
        findings = tuple(finding for finding in seen if self._counts(finding.score))
        best = float(scores.max()) if len(scores) else 0.0
        return Reading(best, findings, candidates=tuple(seen))

    def examiner(self) -> BoxesExaminer:
        """Average precision of the boxes."""
        return BoxesExaminer(self.card.classes)

    def _counts(self, score: float) -> bool:
        zones = self.card.zones
        if zones is None:
            return True
        return score > (zones.review_above if zones.pixel_above is None else zones.pixel_above)

    def _finding(self, box: NDArray[np.float64], score: float, label: int) -> Finding:
        x0, y0, x1, y1 = (round(float(value), 2) for value in box)
        sides = sorted((x1 - x0, y1 - y0))
        measures = {"length_px": sides[1], "width_px": sides[0], "area_px": sides[0] * sides[1]}
        if mm := self.card.mm_per_px:
            measures |= {"length_mm": sides[1] * mm, "width_mm": sides[0] * mm}
            measures["area_mm2"] = measures["area_px"] * mm**2
        measures = {name: round(value, 4) for name, value in measures.items()}
        return Finding(
            class_name(self.card.classes, label), score, (x0, y0, x1, y1), (), None, measures
        )


class BoxesExaminer:
    """All boxes of the graph, whatever the zones say, beside the boxes of the samples."""

    def __init__(self, classes: Sequence[str]) -> None:
        from triscope.kernel.metrics.detection import Detections

        self.seen = Detections(classes)

    def take(self, sample: Sample, reading: Reading) -> None:
        """Boxes that were found and boxes that are there."""
        truths = [(box.label, box.box) for box in sample.boxes]
        found = [(f.label, f.box, f.score) for f in reading.candidates if f.box is not None]
        self.seen.add(truths, found)

    def result(self) -> dict[str, Any]:
        """See ``kernel.metrics.detection``."""
        return self.seen.result()


def class_name(classes: Sequence[str], label: int) -> str:
    """The name of a class by its number."""
    return classes[label] if 0 <= label < len(classes) else f"class {label}"


def in_capture(boxes: NDArray[np.float64], place: Placed) -> NDArray[np.float64]:
    """Boxes (n, 4) of one row of the input in pixels of the capture."""
    scale = np.array([place.scale_x, place.scale_y] * 2)
    return boxes * scale + np.array([place.x0, place.y0] * 2)


def distinct(
    boxes: NDArray[np.float64], labels: NDArray[Any], order: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Of boxes that several windows saw, the first in order: those of one class that overlap.

    Overlap is the common area over that of the smaller box, since a window may cut a box.
    """
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-9), axis=1)
    kept: list[int] = []
    for i in order:
        rivals = [k for k in kept if labels[k] == labels[i]]
        common = np.minimum(boxes[rivals, 2:], boxes[i, 2:]) - np.maximum(
            boxes[rivals, :2], boxes[i, :2]
        )
        shared = np.prod(np.maximum(common, 0), axis=1) / np.minimum(areas[rivals], areas[i])
        if not np.any(shared > SAME):
            kept.append(int(i))
    return np.array(kept, dtype=np.intp)
