"""Masks over images for people: coloured fills, outlines, prompts; sheets of several pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError
from triscope.segment.frame import as_rgb

Image = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Colour = tuple[int, int, int]
FILL = 0.45
# Told apart by colour-blind people too (Okabe and Ito), the first two for found and true.
COLOURS: tuple[Colour, ...] = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0),
    (204, 121, 167),
)  # fmt: skip


def with_masks(image: NDArray[Any], masks: Iterable[Bools], *, outline: bool = True) -> Image:
    """The image with each mask in a colour of its own, the first on top."""
    out = as_rgb(image).copy()
    for i, mask in reversed(list(enumerate(masks))):
        colour = np.array(COLOURS[i % len(COLOURS)])
        out[mask] = (out[mask] * (1 - FILL) + colour * FILL).astype(np.uint8)
        if outline:
            draw_outline(out, mask, COLOURS[i % len(COLOURS)])
    return out


def draw_outline(image: Image, mask: Bools, colour: Colour) -> None:
    """The outline of a mask, in place; its width follows the size of the image."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(image, contours, -1, colour, max(1, round(max(image.shape) / 500)))


def with_prompts(
    image: Image,
    points: Iterable[Sequence[float]] = (),
    labels: Iterable[int] = (),
    boxes: Iterable[Sequence[float]] = (),
) -> Image:
    """Clicks as dots, green inside and red outside, and boxes as frames."""
    out = image.copy()
    size = max(2, round(max(image.shape) / 120))
    for x0, y0, x1, y1 in boxes:
        corners = (round(x0), round(y0)), (round(x1) - 1, round(y1) - 1)
        cv2.rectangle(out, *corners, (255, 255, 255), max(1, size // 2))
    for (x, y), label in zip(points, labels, strict=True):
        centre = (round(x), round(y))
        cv2.circle(out, centre, size + 1, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(out, centre, size, (0, 170, 60) if label else (220, 40, 40), -1, cv2.LINE_AA)
    return out


def sheet(rows: Sequence[Sequence[Image]], height: int = 200, titles: Sequence[str] = ()) -> Image:
    """Pictures in rows, all of one height, with titles above the first row."""
    strips = []
    for row in rows:
        scaled = [
            cv2.resize(
                one, (max(1, round(one.shape[1] * height / one.shape[0])), height),
                interpolation=cv2.INTER_AREA,
            )
            for one in row
        ]  # fmt: skip
        strips.append(np.hstack([np.pad(s, ((2, 2), (2, 2), (0, 0))) for s in scaled]))
    width = max(strip.shape[1] for strip in strips)
    padded = [np.pad(s, ((0, 0), (0, width - s.shape[1]), (0, 0))) for s in strips]
    if titles:
        padded.insert(0, _titles(titles, strips[0].shape[1] // len(rows[0]), width))
    return np.vstack(padded)


def _titles(titles: Sequence[str], step: int, width: int) -> Image:
    out = np.zeros((22, width, 3), np.uint8)
    for i, title in enumerate(titles):
        at = (6 + i * step, 16)
        cv2.putText(out, title, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    return out


def save(path: Path, image: NDArray[Any]) -> None:
    """Write an RGB or grey image; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plane = np.asarray(image)
    bgr = plane[:, :, ::-1] if plane.ndim == 3 else plane
    if not cv2.imwrite(str(path), np.ascontiguousarray(bgr)):
        raise DataError(f"{path} could not be written: give a path that ends in .png or .jpg.")
