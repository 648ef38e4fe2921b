"""A data set as one file: JSON lines with all that is known, or a table (CSV) of the plain parts.

A line of ``parts.jsonl`` is ``{"image": "a.png", "label": …, "split": …, "mask": …, "group": …,
"reference": …, "boxes": [{"label": …, "box": [x0, y0, x1, y1]}]}``; only the image is needed.
Paths are relative to the file.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np

from triscope.errors import BadLabels, EmptyData, UnreadableImage
from triscope.kernel.data.problems import Problems
from triscope.kernel.data.sample import BoxLabel, Dataset, MaskSource, Sample, Split
from triscope.kernel.data.source import is_address, read_bytes
from triscope.kernel.geometry.rle import Rle

ENDINGS = (".jsonl", ".csv")
COLUMNS = ("image", "label", "split", "mask", "group", "reference")
Row = Mapping[str, Any]


def read_manifest(path: Path) -> Dataset:
    """The data set that a file describes; lines that cannot be used are reported."""
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadLabels(f"{path} is not a text in UTF-8: {error}.") from error
    problems = Problems()
    rows = _lines(text, path, problems) if path.suffix == ".jsonl" else _table(text, path)
    samples = []
    for place, row in rows:
        try:
            samples.append(_sample(row, path.parent))
        except (BadLabels, TypeError, ValueError) as error:
            problems.add(f"lines were left out ({error})", place)
    if not samples:
        told = "; ".join(problems.told()) or "it has no lines"
        raise EmptyData(f"{path} describes no image: {told}.")
    found = {s.label for s in samples if s.label and not s.good}
    classes = sorted(found | {box.label for s in samples for box in s.boxes})
    return Dataset(tuple(samples), str(path), "manifest", tuple(classes), problems.told())


def write_manifest(data: Iterable[Sample], path: Path) -> None:
    """Write the samples; images in memory cannot be named, and raise UnreadableImage."""
    rows = [_row(sample, path.parent) for sample in data]
    if path.suffix == ".csv":
        lost = sum(bool(row.get("boxes")) for row in rows)
        if lost:
            raise BadLabels(f"{lost} samples have boxes, which a table cannot hold: write .jsonl.")
        table = io.StringIO()
        writer = csv.DictWriter(table, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        text = table.getvalue()
    else:
        text = "".join(json.dumps(row) + "\n" for row in rows)
    aside = path.with_name(path.name + ".part")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


def _lines(text: str, path: Path, problems: Problems) -> Iterator[tuple[str, Row]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            yield f"line {number}", row
        else:
            problems.add("lines are no JSON object and were left out", f"line {number}")


def _table(text: str, path: Path) -> Iterator[tuple[str, Row]]:
    reader = csv.DictReader(io.StringIO(text))
    if "image" not in (reader.fieldnames or ()):
        raise BadLabels(
            f"{path}: expected a column 'image' (and any of {', '.join(COLUMNS[1:])}), "
            f"got {', '.join(reader.fieldnames or ()) or 'nothing'}."
        )
    try:
        for row in reader:
            yield f"line {reader.line_num}", {k: v for k, v in row.items() if k and v}
    except csv.Error as error:
        raise BadLabels(f"{path} line {reader.line_num} cannot be read: {error}.") from error


def _sample(row: Row, folder: Path) -> Sample:
    name = row.get("image")
    if not isinstance(name, str) or not name:
        raise BadLabels("no image is named")
    split = row.get("split") or None
    if split is not None and split not in get_args(Split):
        raise BadLabels(f"split {split!r} is none of {', '.join(get_args(Split))}")
    mask: MaskSource | None = None
    if isinstance(row.get("mask"), Mapping):
        mask = Rle.from_coco(row["mask"])
    elif row.get("mask"):
        mask = _place(row["mask"], folder)
    reference = _place(row["reference"], folder) if row.get("reference") else None
    boxes = tuple(_box(item) for item in row.get("boxes") or ())
    label, group = (_text(row.get(key), key) for key in ("label", "group"))
    return Sample(_place(name, folder), name, label, mask, boxes, split, group, reference)


def _box(item: Any) -> BoxLabel:
    box = tuple(float(value) for value in item["box"]) if isinstance(item, Mapping) else ()
    if len(box) != 4 or not (np.isfinite(box).all() and box[0] < box[2] and box[1] < box[3]):
        raise BadLabels("a box is {'label': …, 'box': [x0, y0, x1, y1]} with x0 < x1, y0 < y1")
    mask = Rle.from_coco(item["mask"]) if item.get("mask") else None
    label = _text(item.get("label"), "label of a box")
    return BoxLabel(label or "object", box, mask, bool(item.get("difficult")))


def _text(value: Any, what: str) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise BadLabels(f"the {what} is no text: {value!r}")
    return value


def _place(name: Any, folder: Path) -> Path | str:
    if not isinstance(name, str):
        raise BadLabels(f"a path is a text, got {name!r}")
    return name if is_address(name) else folder / name


def _row(sample: Sample, folder: Path) -> dict[str, Any]:
    row: dict[str, Any] = {"image": _named(sample.source, sample.name, folder)}
    row |= {key: getattr(sample, key) for key in ("label", "split", "group")}
    if sample.mask is not None:
        row["mask"] = _mask(sample.mask, sample.name, folder)
    if sample.reference is not None:
        row["reference"] = _named(sample.reference, sample.name, folder)
    if sample.boxes:
        row["boxes"] = [_box_row(box) for box in sample.boxes]
    return {key: value for key, value in row.items() if value is not None}


def _box_row(box: BoxLabel) -> dict[str, Any]:
    row: dict[str, Any] = {"label": box.label, "box": list(box.box)}
    if box.difficult:
        row["difficult"] = True
    if box.mask is not None:
        row["mask"] = _run_lengths(box.mask)
    return row


def _mask(mask: MaskSource, name: str, folder: Path) -> Any:
    if isinstance(mask, str | Path):
        return _named(mask, name, folder)
    return _run_lengths(mask)


def _run_lengths(mask: MaskSource) -> dict[str, Any]:
    from triscope.kernel.data.image import read_mask

    return Rle.encode(read_mask(mask)).to_coco()


def _named(source: Any, name: str, folder: Path) -> str:
    if isinstance(source, np.ndarray):
        raise UnreadableImage(f"{name} is an array in memory: only files can be listed.")
    if is_address(source):
        return str(source)
    return Path(os.path.relpath(source, folder)).as_posix()
