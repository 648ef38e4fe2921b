"""A sheet of images beside what a change makes of them, with boxes and masks drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError, EmptyData
from triscope.kernel.data import Sample
from triscope.kernel.data.transforms import Chain, Transform, View, view_of
from triscope.surface.changes import BOXED, GENTLE
from triscope.surface.synth.anomalies import CutPaste, PerlinTexture, Transplant

GAP = 6
BOX, MASK, DARK = (255, 170, 0), (255, 40, 60), (24, 24, 24)
FONT, LETTERS = cv2.FONT_HERSHEY_SIMPLEX, 0.35
LEARNED = ("none", "boxed", "gentle")  # changes of labelled images; the others make up defects


def learned_change(samples: Sequence[Sample]) -> str:
    """What models of these labels learn with: ``boxed`` of boxes, otherwise ``gentle``."""
    boxes = any(sample.boxes for sample in samples)
    return "boxed" if boxes and not any(sample.mask is not None for sample in samples) else "gentle"


def sheet(
    samples: Sequence[Sample], change: str, count: int, seed: int, side: int
) -> tuple[NDArray[np.uint8], int]:
    """An RGB picture of pairs, four in a row, and how many; unreadable images are left out."""
    rng = np.random.default_rng(seed)
    order = [samples[int(i)] for i in rng.permutation(len(samples))]
    apply = _change(change, order)
    # Made-up defects go on good images, where there are any.
    pool = [s for s in order if s.good] if change not in LEARNED else order
    pairs: list[NDArray[np.uint8]] = []
    for sample in pool or order:
        if len(pairs) == count:
            break
        try:
            view = view_of(sample)
        except DataError:
            continue
        after = apply(view, np.random.default_rng([seed, len(pairs)]))
        pairs.append(np.hstack([drawn(view, side), drawn(after, side)]))
    if not pairs:
        raise EmptyData("there is no readable image to draw.")
    return _grid(pairs, 4), len(pairs)


def drawn(view: View, side: int) -> NDArray[np.uint8]:
    """The view in a square, its mask outlined, its boxes with their labels."""
    image = view.image if view.image.dtype == np.uint8 else (view.image >> 8).astype(np.uint8)
    rgb = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image.copy()
    factor = side / max(view.hw)
    size = (max(1, round(view.hw[1] * factor)), max(1, round(view.hw[0] * factor)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    if view.mask is not None:
        mask = cv2.resize((view.mask > 0).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        lines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(small, lines, -1, MASK, 1, cv2.LINE_AA)
    for box, label in zip(view.boxes, view.labels, strict=True):
        x0, y0, x1, y1 = (round(float(value) * factor) for value in box)
        cv2.rectangle(small, (x0, y0), (x1 - 1, y1 - 1), BOX, 1)
        _write(small, str(label), x0, y0)
    square = np.full((side, side + GAP // 2, 3), DARK, np.uint8)
    square[: small.shape[0], : small.shape[1]] = small
    return square


def _write(picture: NDArray[Any], text: str, x: int, y: int) -> None:
    """A name above the corner (x, y) of its box, or below it at the upper border; never cut off."""
    (w, h), _ = cv2.getTextSize(text, FONT, LETTERS, 1)
    x = max(0, min(x, picture.shape[1] - w - 2))
    y = y - 3 if y >= h + 5 else y + h + 3
    cv2.rectangle(picture, (x, y - h - 2), (x + w + 1, y + 2), DARK, -1)
    cv2.putText(picture, text, (x + 1, y), FONT, LETTERS, BOX, 1, cv2.LINE_AA)


def _change(name: str, samples: Sequence[Sample]) -> Transform:
    if name == "transplant":
        donors = [view_of(s) for s in samples if s.mask is not None and not s.good][:50]
        return Transplant(donors)
    ready: dict[str, Transform] = {
        "none": Chain(),
        "gentle": GENTLE,
        "boxed": BOXED,
        "cutpaste": CutPaste(),
        "scar": CutPaste(scar=True),
        "perlin": PerlinTexture(),
    }
    return ready[name]


def _grid(pairs: list[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    h, w = pairs[0].shape[:2]
    rows = -(-len(pairs) // columns)
    columns = min(columns, len(pairs))
    picture = np.full((rows * (h + GAP), columns * (w + GAP), 3), 255, np.uint8)
    for i, pair in enumerate(pairs):
        y, x = divmod(i, columns)
        picture[y * (h + GAP) : y * (h + GAP) + h, x * (w + GAP) : x * (w + GAP) + w] = pair
    return picture
