"""COCO: one JSON file with all images; masks as run lengths, read and written without holding it.

Annotations are sorted by image in a table on disk while reading, so that their order in the file
does not matter.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from triscope.errors import BadLabels
from triscope.kernel.geometry.masks import from_polygons
from triscope.kernel.geometry.rle import Rle
from triscope.segment.formats import record as base
from triscope.segment.formats._json_stream import members
from triscope.segment.formats.record import Mask, Record

FILE = "annotations.json"
# What a mask says by itself; everything else of an annotation is kept as it is.
OWN = ("id", "image_id", "category_id", "segmentation", "area", "bbox", "iscrowd")


def read(place: Path) -> Iterator[Record]:
    """Records of a COCO file, or of the one JSON file in a folder, in the order of its images."""
    path = place if place.is_file() else _only_json(place)
    with tempfile.TemporaryDirectory() as folder:
        table = sqlite3.connect(Path(folder) / "rows.sqlite")
        try:
            yield from _records(path, table)
        finally:
            table.close()


def _records(path: Path, table: sqlite3.Connection) -> Iterator[Record]:
    table.execute("pragma journal_mode=off")
    table.execute("create table images (n integer primary key, id text, row text)")
    table.execute("create table masks (n integer primary key, image text, row text)")
    names: dict[Any, str] = {}
    for key, row in members(path, ("images", "annotations", "categories")):
        if key == "categories":
            names[row.get("id")] = str(row.get("name"))
        elif key == "images":
            table.execute(
                "insert into images (id, row) values (?, ?)",
                (_key(row, "id", path), json.dumps(row)),
            )
        else:
            image = _key(row, "image_id", path)
            table.execute("insert into masks (image, row) values (?, ?)", (image, json.dumps(row)))
    table.execute("create index by_image on masks (image)")
    for key, text in table.execute("select id, row from images order by n"):
        row = json.loads(text)
        found = table.execute("select row from masks where image = ? order by n", (key,))
        yield _record(path, row, [json.loads(mask) for (mask,) in found], names)


def _key(row: Mapping[str, Any], name: str, path: Path) -> str:
    if name not in row:
        raise BadLabels(f"{path}: an entry has no {name!r}: {str(row)[:80]}.")
    return json.dumps(row[name])


def _record(
    path: Path, image: Mapping[str, Any], rows: list[Mapping[str, Any]], names: dict[Any, str]
) -> Record:
    try:
        hw = (int(image["height"]), int(image["width"]))
        masks = tuple(_mask(row, hw, names) for row in rows)
        return Record(str(image["file_name"]), hw, masks)
    except (KeyError, TypeError, ValueError, BadLabels) as error:
        raise BadLabels(f"{path}, image {image.get('file_name', image)}: {error}") from error


def _mask(row: Mapping[str, Any], hw: tuple[int, int], names: dict[Any, str]) -> Mask:
    given = row["segmentation"]
    if isinstance(given, Mapping):
        rle = Rle.from_coco(given)
    else:  # polygons along the edges of pixels, half a pixel from our centres; joined, no holes
        whole = np.zeros(hw, bool)
        for ring in given:
            whole |= from_polygons([np.asarray(ring, float).reshape(-1, 2) - 0.5], hw)
        rle = Rle.encode(whole)
    kept = {name: value for name, value in row.items() if name not in OWN}
    return Mask(rle, names.get(row.get("category_id"), "object"), kept)


def _only_json(place: Path) -> Path:
    found = sorted(place.glob("*.json")) if place.is_dir() else []
    if len(found) != 1:
        raise BadLabels(f"{place} holds {len(found)} JSON files: give the COCO file itself.")
    return found[0]


class Writer(base.Writer):
    """``annotations.json``; the lists grow in files of their own and are joined at the end."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self._images = _List(place / ".images.part")
        self._masks = _List(place / ".annotations.part")
        self._labels: dict[str, int] = {}

    def _write(self, record: Record) -> None:
        number = self.count + 1
        self._images.add(
            {"id": number, "file_name": record.name, "height": record.hw[0], "width": record.hw[1]}
        )
        for mask in record.masks:
            category = self._labels.setdefault(mask.label, len(self._labels) + 1)
            x0, y0, x1, y1 = mask.rle.box or (0.0, 0.0, 0.0, 0.0)
            self._masks.add(
                {
                    **mask.extra,
                    "id": self._masks.count + 1,
                    "image_id": number,
                    "category_id": category,
                    "segmentation": mask.rle.to_coco(),
                    "area": mask.rle.area,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "iscrowd": 0,
                }
            )

    def close(self) -> None:
        """Join the lists."""
        categories = [{"id": i, "name": name} for name, i in self._labels.items()]
        with (self.place / FILE).open("w", encoding="utf-8") as out:
            out.write('{"images": ')
            self._images.pour(out)
            out.write(', "annotations": ')
            self._masks.pour(out)
            out.write(f', "categories": {json.dumps(categories)}}}\n')


class _List:
    """A JSON list that grows on disk."""

    def __init__(self, path: Path) -> None:
        self.path, self.count = path, 0
        self._file = path.open("w", encoding="utf-8")

    def add(self, row: Mapping[str, Any]) -> None:
        self._file.write(("[" if not self.count else ",\n") + json.dumps(row))
        self.count += 1

    def pour(self, out: IO[str]) -> None:
        """Copy into another file and go."""
        self._file.write("]" if self.count else "[]")
        self._file.close()
        with self.path.open(encoding="utf-8") as file:
            while text := file.read(1 << 20):
                out.write(text)
        self.path.unlink()
