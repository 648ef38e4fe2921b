"""A video as one picture: some of its frames in their order, and when what was found.

Evidence, where a model can give it, becomes a heat map of the same picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.kernel.data.video.file import open_video
from triscope.kernel.results import Finding, Heatmap

COLUMNS, ROWS = 3, 2
SHORT = 160  # shorter side of a frame, in pixels
BAND = 22  # height of one row of the timeline
INK, PAPER = (40, 40, 44), (250, 250, 250)
PALETTE = (
    (86, 140, 196), (222, 160, 78), (110, 174, 112), (190, 110, 150), (130, 120, 190),
    (90, 170, 170), (200, 190, 90), (170, 120, 90),
)  # fmt: skip
Picture = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Evidence:
    """How strongly a network saw its answer, in [0, 1], in the frames of these numbers.

    ``heat`` is float32 (t, i, j) and spans whole frames.
    """

    numbers: tuple[int, ...]
    heat: NDArray[np.float32]


Explain = Callable[[Any, str], Evidence | None]  # (source of the video, label of the answer)


@dataclass(frozen=True, eq=False)
class Film:
    """The picture, and the evidence where there is some."""

    picture: Picture
    heat: Heatmap | None = None


def film(source: Any, findings: Sequence[Finding] = (), evidence: Evidence | None = None) -> Film:
    """Six frames of a video as a picture; raises DataError where it cannot be read."""
    video = open_video(source)
    places = np.arange(len(video)) if evidence is None else np.asarray(evidence.numbers)
    cells = COLUMNS * ROWS
    chosen = np.floor((np.arange(cells) + 0.5) * len(places) / cells).astype(int)
    frames = video.read([int(places[i]) for i in chosen], SHORT)
    shown = [
        _stamped(f, float(video.times_s[places[i]])) for f, i in zip(frames, chosen, strict=True)
    ]
    end = float(getattr(video, "duration_s", video.times_s[-1]))
    parts = [f for f in findings if f.span_s is not None and f.span_s[1] - f.span_s[0] < 0.98 * end]
    picture = _grid(shown)
    below = _timeline(parts, picture.shape[1], end)
    whole = np.concatenate([picture, below])
    if evidence is None:
        return Film(whole)
    sides = frames.shape[2], frames.shape[1]
    heats = [cv2.resize(evidence.heat[i], sides, interpolation=cv2.INTER_LINEAR) for i in chosen]
    values = np.concatenate([_grid(heats), np.zeros(below.shape[:2], np.float32)])
    return Film(whole, Heatmap(values.astype(np.float32), float(values.max()), whole.shape[:2]))


def _grid(frames: Sequence[NDArray[Any]]) -> NDArray[Any]:
    rows = [np.concatenate(frames[r * COLUMNS : (r + 1) * COLUMNS], axis=1) for r in range(ROWS)]
    return np.concatenate(rows)


def _stamped(frame: Picture, time_s: float) -> Picture:
    """The frame with its time in a corner."""
    out = np.ascontiguousarray(frame)
    for colour, thick in ((INK, 3), (PAPER, 1)):
        _write(out, f"{time_s:.2f} s", (5, out.shape[0] - 7), colour, thick)
    return out


def _timeline(findings: Sequence[Finding], width: int, end_s: float) -> Picture:
    """A band with a piece for each finding, its name below where there is room; (0, w, 3): none."""
    if not findings:
        return np.zeros((0, width, 3), np.uint8)
    names = list(dict.fromkeys(f.label for f in findings))
    picture = np.full((2 * BAND + 4, width, 3), PAPER, np.uint8)
    for finding in findings:
        start, stop = (int(t / end_s * (width - 1)) for t in finding.span_s or (0.0, 0.0))
        colour = PALETTE[names.index(finding.label) % len(PALETTE)]
        cv2.rectangle(picture, (start, 4), (max(start + 1, stop - 1), BAND), colour, -1)
        _write(picture, finding.label[: max(1, (stop - start) // 8)], (start + 1, 2 * BAND - 3))
    return picture


def _write(
    picture: Picture,
    text: str,
    place: tuple[int, int],
    colour: tuple[int, int, int] = INK,
    thick: int = 1,
) -> None:
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, thick, cv2.LINE_AA)
