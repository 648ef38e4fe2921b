"""One prompt, one mask: overlap from a box, from a click, and the best of three.

Protocol of arXiv:2304.02643 section 7.1: the click at the maximum of the distance transform, the
answer with the highest predicted IoU, and the oracle that takes the best of the three masks. The
box is the tight one, each side moved by up to 5 %. GrabCut and flood fill get the same prompts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.kernel.metrics.overlap import iou
from triscope.segment.answers import Prompted
from triscope.segment.evaluate.cases import Case
from triscope.segment.evaluate.clicks import Box, Point, centre_of, moved_box
from triscope.segment.frame import as_rgb

Bools = NDArray[np.bool_]
Ways = tuple[str, ...]
OURS: Ways = ("box", "point", "best of 3")
BASELINES: Ways = ("GrabCut, box", "flood fill, point")
GRABCUT_ROUNDS = 5
FLOOD_STEP = 12  # grey values that a neighbour may differ by


@dataclass(frozen=True)
class Row:
    """Overlaps of one mask."""

    name: str
    index: int
    area_px: int
    iou: dict[str, float]
    group: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def evaluate_prompts(
    predictor: Prompted,
    cases: Iterable[Case],
    *,
    baselines: bool = False,
    box_share: float = 0.05,
    seed: int = 0,
    seen: Callable[[Case, dict[str, Bools], int], None] | None = None,
) -> Iterator[Row]:
    """A row for each mask; ``seen`` is shown the answers, for pictures."""
    rng = np.random.default_rng(seed)
    for case in cases:
        predictor.set_image(case.image)
        for index, truth in enumerate(case.masks):
            box, point = moved_box(truth, rng, box_share), centre_of(truth)
            found = answers(predictor, truth, box, point)
            if baselines:
                found |= classical(case.image, box, point)
            overlaps = {way: iou(mask, truth) for way, mask in found.items()}
            if seen is not None:
                seen(case, found, index)
            yield Row(case.name, index, int(truth.sum()), overlaps, case.group)


def answers(predictor: Prompted, truth: Bools, box: Box, point: Point) -> dict[str, Bools]:
    """The masks of the box, of the click, and the best of the click's three."""
    boxed = predictor.predict(box=box)
    clicked = predictor.predict([point], [1])
    best = max(clicked.masks, key=lambda mask: iou(mask, truth))
    return {
        "box": boxed.masks[boxed.best],
        "point": clicked.masks[clicked.best],
        "best of 3": best,
    }


def classical(image: NDArray[Any], box: Box, point: Point) -> dict[str, Bools]:
    """GrabCut from the box and flood fill from the click, with OpenCV."""
    rgb = as_rgb(image)
    return {
        "GrabCut, box": grab_cut(rgb, box),
        "flood fill, point": flood_fill(rgb, point),
    }


def grab_cut(rgb: NDArray[np.uint8], box: Box) -> Bools:
    """The foreground that GrabCut finds inside a box."""
    h, w = rgb.shape[:2]
    x0, y0 = max(int(box[0]), 0), max(int(box[1]), 0)
    x1, y1 = min(int(np.ceil(box[2])), w), min(int(np.ceil(box[3])), h)
    marks = np.full((h, w), cv2.GC_BGD, np.uint8)
    marks[y0:y1, x0:x1] = cv2.GC_PR_FGD
    if (marks == cv2.GC_BGD).sum() < 2 or (x1 - x0) * (y1 - y0) < 2:
        return marks == cv2.GC_PR_FGD
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    bgr = np.ascontiguousarray(rgb[:, :, ::-1])
    with contextlib.suppress(cv2.error):  # too few colours for its mixtures
        cv2.grabCut(bgr, marks, None, *models, GRABCUT_ROUNDS, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    return np.asarray((marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD))


def flood_fill(rgb: NDArray[np.uint8], point: Point) -> Bools:
    """Neighbours of a point whose colour differs little from one to the next."""
    mask = np.zeros((rgb.shape[0] + 2, rgb.shape[1] + 2), np.uint8)
    step = (FLOOD_STEP,) * 3
    flags = 8 | (255 << 8) | cv2.FLOODFILL_MASK_ONLY
    at = (int(point[0]), int(point[1]))
    cv2.floodFill(np.ascontiguousarray(rgb).copy(), mask, at, (0, 0, 0), step, step, flags)
    return mask[1:-1, 1:-1] > 0


def means(rows: Iterable[Row]) -> dict[str, float]:
    """Mean overlap of each way over all masks."""
    table = list(rows)
    ways = dict.fromkeys(way for row in table for way in row.iou)
    return {way: float(np.mean([row.iou[way] for row in table])) for way in ways}


def by_group(rows: Iterable[Row]) -> dict[str, dict[str, float]]:
    """Mean overlap of each way by the group (or label) of the masks; "none" where it has none."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.group or "none", []).append(row)
    return {name: means(some) for name, some in found.items()}
