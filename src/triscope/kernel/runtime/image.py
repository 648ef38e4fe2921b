"""Checks whose capture is one image: resized, letterboxed or cut into windows as the card says."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.kernel.data import Sample, read_image, to_input
from triscope.kernel.geometry import tiles
from triscope.kernel.runtime.card import Card
from triscope.kernel.runtime.check import Check
from triscope.kernel.runtime.engine import Floats
from triscope.kernel.runtime.reading import Prepared


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


class Rows:
    """The windows of a large image as rows of the input, each made when it is asked for."""

    def __init__(self, image: NDArray[Any], card: Card) -> None:
        self.size, self.keep_aspect = card.size, card.input.get("fit") == "letterbox"
        self.plan = tiles.plan(image.shape[:2], card.tile, card.overlap)
        self.image = tiles.whole_windows(image, self.plan)
        self.corners = list(self.plan)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(rows, 3, h, w)."""
        return (len(self.plan), 3, *self.size)

    @property
    def nbytes(self) -> int:
        """Bytes of all rows together."""
        return 4 * math.prod(self.shape)

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, index: Any) -> Floats:
        if not isinstance(index, slice):
            return self._row(range(len(self))[index])
        rows = [self._row(number) for number in range(*index.indices(len(self)))]
        return np.stack(rows) if rows else np.zeros((0, *self.shape[1:]), np.float32)

    def __iter__(self) -> Iterator[Floats]:
        return (self._row(number) for number in range(len(self)))

    def placed(self) -> tuple[Placed, ...]:
        """Where each row lies in the image."""
        blank = np.zeros((self.plan.tile, self.plan.tile), np.uint8)
        place = fitted(blank, self.size, self.keep_aspect)[1]
        return tuple(replace(place, x0=left, y0=top) for top, left in self.plan)

    def _row(self, number: int) -> Floats:
        (top, left), tile = self.corners[number], self.plan.tile
        piece = self.image[top : top + tile, left : left + tile]
        return fitted(piece, self.size, self.keep_aspect)[0]


def to_windows(image: NDArray[Any], card: Card) -> tuple[Any, Windows]:
    """The image as input of the graph, float32 (b, 3, h, w): resized, or cut as the card says."""
    if card.tile:
        rows = Rows(image, card)
        return rows, Windows(rows.placed(), rows.plan)
    row, place = fitted(image, card.size, card.input.get("fit") == "letterbox")
    return row[None], Windows((place,), None)


def whole_map(maps: Iterable[NDArray[Any]], prepared: Prepared) -> Floats:
    """One map float32 (h, w) of the capture from the maps (h, w) of its rows, one after the other.

    What a letterbox added is cut off; windows are blended.
    """
    windows: Windows = prepared.extra
    h, w = prepared.inputs["images"].shape[-2:]

    def shown() -> Iterator[NDArray[Any]]:
        for one, place in zip(maps, windows.placed, strict=True):
            rows = max(1, round(one.shape[0] * place.used[0] / h))
            columns = max(1, round(one.shape[1] * place.used[1] / w))
            yield one[:rows, :columns]

    whole = next(shown()) if windows.plan is None else tiles.blend(shown(), windows.plan)
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
