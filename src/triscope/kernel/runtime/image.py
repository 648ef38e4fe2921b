"""Checks whose capture is one image: resized, letterboxed or cut into windows as the card says."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.kernel.data import Sample, read_image, to_input
from triscope.kernel.geometry import tiles
from triscope.kernel.runtime.card import Card
from triscope.kernel.runtime.check import Check, Prepared
from triscope.kernel.runtime.engine import Floats


@dataclass(frozen=True)
class Placed:
    """Where one row of the input lies in the capture.

    A point (x, y) of the input lies at ``(x * scale_x + x0, y * scale_y + y0)`` of the capture, by
    pixel edges. The first ``used`` (h, w) pixels of the input show something.
    """

    x0: float
    y0: float
    scale_x: float
    scale_y: float
    used: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Windows:
    """How the rows of an image's input cover it; ``plan`` is None where the whole image is one."""

    placed: tuple[Placed, ...]
    plan: tiles.Plan | None


class ImageCheck(Check):
    """Reads images as the card says."""

    def prepare(self, sample: Sample) -> Prepared:
        """Read an image and bring it to the input of the graph: float32 (rows, 3, h, w)."""
        start = perf_counter()
        image = read_image(sample.source)
        inputs, windows = to_windows(image, self.card)
        return Prepared({"images": inputs}, image.shape[:2], perf_counter() - start, windows)


def to_windows(image: NDArray[Any], card: Card) -> tuple[Floats, Windows]:
    """The image as inputs of the graph: float32 (b, 3, h, w), resized or cut as the card says."""
    keep = card.input.get("fit") == "letterbox"
    if not card.tile:
        row, place = fitted(image, card.size, keep)
        return row[None], Windows((place,), None)
    plan = tiles.plan(image.shape[:2], card.tile, card.overlap)
    rows, places = [], []
    for piece, (y, x) in zip(tiles.cut(image, plan), plan, strict=True):
        row, place = fitted(piece, card.size, keep)
        rows.append(row)
        places.append(Placed(x, y, place.scale_x, place.scale_y, place.used))
    return np.stack(rows), Windows(tuple(places), plan)


def whole_map(maps: NDArray[Any], prepared: Prepared) -> Floats:
    """One map float32 (h, w) of the capture from the maps (rows, h, w) of its rows.

    What a letterbox added is cut off; windows are blended.
    """
    windows: Windows = prepared.extra
    h, w = prepared.inputs["images"].shape[-2:]
    parts = []
    for one, place in zip(maps, windows.placed, strict=True):
        rows = max(1, round(one.shape[0] * place.used[0] / h))
        columns = max(1, round(one.shape[1] * place.used[1] / w))
        parts.append(one[:rows, :columns])
    whole = parts[0] if windows.plan is None else tiles.blend(parts, windows.plan)
    return np.array(whole, dtype=np.float32, order="C")


def fitted(image: NDArray[Any], size: tuple[int, int], keep_aspect: bool) -> tuple[Floats, Placed]:
    """One image as (3, h, w): stretched, or with its aspect kept and zeros right and below."""
    (h, w), (to_h, to_w) = image.shape[:2], size
    if not keep_aspect:
        return to_input(image, size), Placed(0, 0, w / to_w, h / to_h, size)
    factor = min(to_h / h, to_w / w)
    used = (max(1, min(to_h, round(h * factor))), max(1, min(to_w, round(w * factor))))
    row = np.zeros((3, to_h, to_w), np.float32)
    row[:, : used[0], : used[1]] = to_input(image, used)
    return row, Placed(0, 0, w / used[1], h / used[0], used)
