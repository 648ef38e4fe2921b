"""YOLO: a text file an image, a line a mask: class number and one outline as shares of the image.

A line holds one ring. Several rings and holes are joined by a way there and back, which encloses
nothing, and sides are written with enough digits: reading gives exactly the mask that was written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadLabels
from triscope.kernel.geometry.masks import from_polygons, to_polygons
from triscope.kernel.geometry.rle import Rle
from triscope.segment.formats import record as base
from triscope.segment.formats.record import Mask, Record, files, image_of, size_of

Floats = NDArray[np.float64]
NAMES, SIZES = "names.json", "sizes.json"
DIGITS = 9  # of a share: a hundredth of a pixel in an image of a million


class Writer(base.Writer):
    """``labels/…/NAME.txt``, ``names.json`` with the classes; image names and sizes beside them."""

    def __init__(self, place: Path) -> None:
        super().__init__(place / "labels")
        self._labels: dict[str, int] = {}
        self._root = place

    def _write(self, record: Record) -> None:
        folder = self.shard()
        path = folder / f"{Path(record.name).stem}.txt"
        if path.exists():
            raise BadLabels(f"two images are called {path.stem!r}: rename one.")
        lines = []
        for mask in record.masks:
            number = self._labels.setdefault(mask.label, len(self._labels))
            ring = joined(to_polygons(mask.rle.decode()))
            shares = (ring + 0.5) / [record.hw[1], record.hw[0]]
            lines.append(" ".join([str(number), *(f"{v:.{DIGITS}g}" for v in shares.ravel())]))
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        with (folder / f"{SIZES}l").open("a", encoding="utf-8") as file:
            file.write(json.dumps([path.stem, record.name, *record.hw]) + "\n")

    def close(self) -> None:
        """Write the names of the classes in the order of their numbers."""
        (self._root / NAMES).write_text(json.dumps(list(self._labels)), encoding="utf-8")


def read(place: Path, images: Path | None = None) -> Iterator[Record]:
    """Records of all text files; sizes come from ``sizes.jsonl`` or from the images."""
    names = _names(place)
    folder, sizes = None, {}
    for path in files(place, (".txt",)):
        if path.parent != folder:
            folder, sizes = path.parent, _sizes(path.parent)
        name, hw = sizes[path.stem] if path.stem in sizes else _measured(path, images)
        lines = path.read_text(encoding="utf-8").splitlines()
        masks = tuple(
            _mask(path, i, line, hw, names) for i, line in enumerate(lines, 1) if line.strip()
        )
        yield Record(name, hw, masks)


def joined(rings: list[Floats]) -> Floats:
    """One ring through all rings, there and back: by the even-odd rule the same mask."""
    if not rings:
        return np.zeros((0, 2))
    start = rings[0][:1]
    parts = []
    for ring in rings:
        parts += [ring, ring[:1], start]
    return np.concatenate(parts[:-2] if len(rings) == 1 else parts)


def _mask(path: Path, number: int, line: str, hw: tuple[int, int], names: list[str]) -> Mask:
    try:
        label, *values = line.split()
        shares = np.array(values, float).reshape(-1, 2)
        place = int(label)
    except ValueError as error:
        raise BadLabels(
            f"{path} line {number}: expected a class number and pairs x y in [0, 1] ({error})."
        ) from error
    if len(shares) and not ((shares >= -1e-9) & (shares <= 1 + 1e-9)).all():
        raise BadLabels(
            f"{path} line {number}: an outline leaves the image: x and y lie in [0, 1]."
        )
    ring = shares * [hw[1], hw[0]] - 0.5
    # Corners lie on the edges of pixels, at half integers, unless somebody drew them freely.
    halves = np.round(ring + 0.5) - 0.5
    ring = np.where(np.abs(ring - halves) < 1e-3, halves, ring)
    name = names[place] if 0 <= place < len(names) else str(place)
    return Mask(Rle.encode(from_polygons([ring], hw)), name)


def _names(place: Path) -> list[str]:
    path = place / NAMES
    return [str(name) for name in json.loads(path.read_text())] if path.is_file() else []


def _sizes(folder: Path) -> dict[str, tuple[str, tuple[int, int]]]:
    path = folder / f"{SIZES}l"
    if not path.is_file():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {stem: (name, (h, w)) for stem, name, h, w in rows}


def _measured(path: Path, images: Path | None) -> tuple[str, tuple[int, int]]:
    image = image_of(path, images)
    return image.name, size_of(image)
