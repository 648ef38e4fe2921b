"""Steps as a picture: what was found over time, the truth below it, errors marked in red."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.kernel.metrics.segments import segments_of
from triscope.motion.steps.checking import StepError

PALETTE = (
    (206, 206, 210), (86, 140, 196), (222, 160, 78), (110, 174, 112), (190, 110, 150),
    (130, 120, 190), (90, 170, 170), (200, 190, 90), (170, 120, 90),
)  # fmt: skip
RED = (205, 55, 50)
INK = (40, 40, 44)


def timeline(
    rows: Sequence[tuple[str, Sequence[str]]],
    labels: Sequence[str],
    rate: float,
    errors: Sequence[StepError] = (),
    width: int = 960,
) -> NDArray[np.uint8]:
    """A picture (h, width, 3): a band for each row (name, label a frame), seconds below."""
    left, band, gap, top = 90, 34, 10, 40
    count = max(len(row) for _, row in rows)
    height = top + len(rows) * (band + gap) + 46
    picture = np.full((height, width, 3), 255, np.uint8)
    scale = (width - left - 20) / count
    for i, label in enumerate(labels):
        x = left + i * (width - left) // max(1, len(labels))
        cv2.rectangle(picture, (x, 12), (x + 12, 24), _colour(labels, label), -1)
        _write(picture, label, (x + 17, 23))
    for r, (name, row) in enumerate(rows):
        y = top + r * (band + gap)
        _write(picture, name, (8, y + band // 2 + 5))
        for run in segments_of(row):
            ends = [int(left + edge * scale) for edge in (run.start, run.end)]
            colour = _colour(labels, run.label)
            cv2.rectangle(picture, (ends[0], y), (ends[1], y + band), colour, -1)
            cv2.line(picture, (ends[1], y), (ends[1], y + band), (255, 255, 255), 1)
    bottom = top + len(rows) * (band + gap)
    for error in errors:
        x0, x1 = (int(left + time * rate * scale) for time in error.span_s)
        cv2.rectangle(picture, (x0, top - 3), (max(x1, x0 + 3), bottom - gap + 3), RED, 2)
        _write(picture, f"{error.kind}: {error.step}", (x0 + 2, bottom + 12), RED)
    for second in range(0, int(count / rate) + 1, max(1, round(count / rate / 12))):
        x = int(left + second * rate * scale)
        cv2.line(picture, (x, bottom - 4), (x, bottom), INK, 1)
        _write(picture, f"{second} s", (x - 8, height - 10))
    return picture


def _colour(labels: Sequence[str], label: str) -> tuple[int, int, int]:
    return PALETTE[list(labels).index(label) % len(PALETTE)] if label in labels else RED


def _write(
    picture: NDArray[np.uint8],
    text: str,
    place: tuple[int, int],
    colour: tuple[int, int, int] = INK,
) -> None:
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA)
