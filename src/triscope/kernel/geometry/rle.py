"""Run lengths of masks, column by column, starting with the length of the background (COCO).

The compressed text holds, from the third run on, the difference to the run before last, in groups
of five bits, the lowest first, each as one character from ``0`` on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadLabels
from triscope.kernel.geometry.masks import Box

Bools = NDArray[np.bool_]
MORE, SIGN, FIRST = 0x20, 0x10, 48


@dataclass(frozen=True, eq=False)
class Rle:
    """``counts`` are lengths of runs, background and mask by turns; ``size`` is (h, w)."""

    size: tuple[int, int]
    counts: NDArray[np.int64]

    @classmethod
    def encode(cls, mask: Bools) -> Rle:
        """The run lengths of a mask (h, w)."""
        size = (int(mask.shape[0]), int(mask.shape[1]))
        if not mask.size:
            return cls(size, np.zeros(1, np.int64))
        flat = mask.ravel(order="F")
        edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        ends = np.concatenate([[0] if flat[0] else [], [0], edges, [flat.size]])
        return cls(size, np.diff(ends).astype(np.int64))

    def decode(self) -> Bools:
        """The mask, bool (h, w)."""
        values = np.arange(len(self.counts)) % 2 == 1
        return np.repeat(values, self.counts).reshape(self.size, order="F")

    @property
    def area(self) -> int:
        """How many pixels are set."""
        return int(self.counts[1::2].sum())

    @property
    def box(self) -> Box | None:
        """The smallest box xyxy, end-exclusive; None for an empty mask. Nothing is drawn."""
        ends = np.cumsum(self.counts)
        last = ends[1::2][self.counts[1::2] > 0]
        if not len(last):
            return None
        first = last - self.counts[1::2][self.counts[1::2] > 0]
        h = self.size[0]
        left, right = first // h, (last - 1) // h
        wraps = right > left  # a run over the end of a column touches both edges of the image
        top = 0 if wraps.any() else int((first % h).min())
        bottom = h - 1 if wraps.any() else int(((last - 1) % h).max())
        return float(left.min()), float(top), float(right.max() + 1), float(bottom + 1)

    def to_coco(self, compressed: bool = True) -> dict[str, Any]:
        """COCO's ``{"size": [h, w], "counts": …}``: a text, or the plain list of lengths."""
        counts = [int(count) for count in self.counts]
        return {"size": list(self.size), "counts": _pack(counts) if compressed else counts}

    @classmethod
    def from_coco(cls, value: Mapping[str, Any]) -> Rle:
        """Read COCO's run lengths, plain or compressed; raises BadLabels saying what is wrong."""
        try:
            h, w = (int(side) for side in value["size"])
            counts = value["counts"]
            text = counts.decode("ascii") if isinstance(counts, bytes) else counts
            runs = _unpack(text) if isinstance(text, str) else [int(count) for count in text]
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise BadLabels(
                f"run lengths need 'size': [h, w] and 'counts': {type(error).__name__}: {error}."
            ) from error
        if h < 0 or w < 0 or any(not 0 <= run <= h * w for run in runs) or sum(runs) != h * w:
            raise BadLabels(
                f"run lengths of a mask of {h} x {w} sum to {h * w}, each 0 or more; "
                f"got {len(runs)} that sum to {sum(runs)}."
            )
        return cls((h, w), np.array(runs, np.int64))


def _pack(counts: list[int]) -> str:
    text = []
    for i, count in enumerate(counts):
        rest = count - counts[i - 2] if i > 2 else count
        while True:
            group = rest & 0x1F
            rest >>= 5
            done = rest == (-1 if group & SIGN else 0)
            text.append(chr((group if done else group | MORE) + FIRST))
            if done:
                break
    return "".join(text)


def _unpack(text: str) -> list[int]:
    counts: list[int] = []
    value = shift = 0
    for character in text:
        group = ord(character) - FIRST
        if not 0 <= group < 64 or shift > 60:
            raise ValueError(f"character {character!r} has no place in compressed run lengths")
        value |= (group & 0x1F) << shift
        shift += 5
        if group & MORE:
            continue
        if group & SIGN:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("the compressed run lengths end within a number")
    return counts
