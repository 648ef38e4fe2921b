"""What prompting makes of boxes and heat maps: overlap with the true mask before and after.

Boxes are those of the true regions, moved a little, or a check's own; heat maps are a check's, cut
at its threshold. Without a finding both overlaps are 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.kernel.metrics.overlap import iou
from triscope.segment import refine
from triscope.segment.answers import Prompted
from triscope.segment.evaluate.cases import Case
from triscope.segment.evaluate.clicks import moved_box
from triscope.segment.evaluate.prompted import Row, grab_cut
from triscope.segment.frame import as_rgb

Bools = NDArray[np.bool_]
Found = tuple[NDArray[Any] | None, Sequence[Sequence[float]]]  # heat map or None, boxes xyxy


def refined_truth(predictor: Prompted, cases: Iterable[Case], seed: int = 0) -> Iterator[Row]:
    """A row for each true mask, whose box is the prompt."""
    for number, case in enumerate(cases):
        predictor.set_image(case.image)
        rgb = as_rgb(case.image)
        for index, truth in enumerate(case.masks):
            box = moved_box(truth, np.random.default_rng([seed, number, index]))
            (found,) = refine.from_boxes(predictor, [box])
            overlaps = {
                "before": iou(drawn([box], rgb.shape[:2]), truth),
                "refined": iou(found.mask, truth),
                "GrabCut": iou(grab_cut(rgb, box), truth),
            }
            yield Row(case.name, index, int(truth.sum()), overlaps, case.group)


def refined_findings(
    predictor: Prompted,
    cases: Iterable[Case],
    inspect: Callable[[NDArray[Any]], Found],
    above: float | None = None,
) -> Iterator[Row]:
    """A row for each image; what ``inspect`` finds is the prompt."""
    for case in cases:
        predictor.set_image(case.image)
        hw = (case.image.shape[0], case.image.shape[1])
        truth = np.any(np.stack(case.masks), axis=0)
        heat, boxes = inspect(case.image)
        if heat is not None:
            assert above is not None
            before = enlarged(heat, hw) > above
            found = list(refine.from_heat(predictor, heat, above))
        else:
            before = drawn(boxes, hw)
            found = list(refine.from_boxes(predictor, boxes))
        overlaps = {
            "before": iou(before, truth),
            "refined": iou(refine.joined(found, hw), truth),
        }
        yield Row(case.name, 0, int(truth.sum()), overlaps, case.group)


def enlarged(heat: NDArray[Any], hw: tuple[int, int]) -> NDArray[np.float32]:
    """A heat map at the size of the image."""
    size_wh = (hw[1], hw[0])
    full = cv2.resize(np.asarray(heat, np.float32), size_wh, interpolation=cv2.INTER_LINEAR)
    return np.asarray(full, np.float32)


def drawn(boxes: Sequence[Sequence[float]], hw: tuple[int, int]) -> Bools:
    """All pixels whose middle lies in a box."""
    out = np.zeros(hw, bool)
    for x0, y0, x1, y1 in boxes:
        rows = slice(max(int(np.ceil(y0 - 0.5)), 0), max(int(np.ceil(y1 - 0.5)), 0))
        columns = slice(max(int(np.ceil(x0 - 0.5)), 0), max(int(np.ceil(x1 - 0.5)), 0))
        out[rows, columns] = True
    return out
