"""Clicks until it fits: overlap after 1, 2, 3, 5, 9 clicks and clicks to reach an overlap.

The first click is the centre of the mask, each next one the centre of the thickest error; the mask
of the click before goes along (arXiv:2304.02643 section 7.1, appendix D.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.kernel.metrics.overlap import iou
from triscope.segment.answers import Prompted
from triscope.segment.evaluate.cases import Case
from triscope.segment.evaluate.clicks import Point, centre_of, next_click

PUBLISHED = (1, 2, 3, 5, 9)
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Clicked:
    """Overlap with the truth after each click."""

    name: str
    index: int
    iou: tuple[float, ...]
    group: str | None = None

    def clicks_to(self, target: float) -> int | None:
        """Clicks needed for an overlap; None if it was not reached."""
        return next((i + 1 for i, value in enumerate(self.iou) if value >= target), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def evaluate_clicks(
    predictor: Prompted, cases: Iterable[Case], *, clicks: int = 9
) -> Iterator[Clicked]:
    """A row for each mask."""
    for case in cases:
        predictor.set_image(case.image)
        for index, truth in enumerate(case.masks):
            yield Clicked(case.name, index, tuple(session(predictor, truth, clicks)), case.group)


def session(predictor: Prompted, truth: Bools, clicks: int) -> Iterator[float]:
    """Overlap after each of the clicks."""
    points: list[Point] = []
    labels: list[int] = []
    found, logits = np.zeros_like(truth), None
    for number in range(clicks):
        point, label = (centre_of(truth), 1) if not number else next_click(found, truth)
        points.append(point)
        labels.append(label)
        masks = predictor.predict(points, labels, mask=logits, multimask=number == 0)
        found, logits = masks.masks[masks.best], masks.logits[masks.best]
        yield iou(found, truth)


@dataclass(frozen=True)
class ClickCurve:
    """Means over all masks: overlap after each click, and clicks to reach a target."""

    iou: tuple[float, ...]
    target: float
    reached: float  # share of masks that reach the target
    clicks: float  # mean clicks to reach it; masks that do not count as all clicks, as usual
    masks: int

    def at(self, clicks: int) -> float:
        """Mean overlap after that many clicks."""
        return self.iou[clicks - 1]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def curve(rows: Iterable[Clicked], target: float = 0.85) -> ClickCurve:
    """The means of all rows."""
    table = list(rows)
    most = max(len(row.iou) for row in table)
    needed = [row.clicks_to(target) for row in table]
    return ClickCurve(
        iou=tuple(np.mean([row.iou for row in table], axis=0).tolist()),
        target=target,
        reached=float(np.mean([count is not None for count in needed])),
        clicks=float(np.mean([count or most for count in needed])),
        masks=len(table),
    )
