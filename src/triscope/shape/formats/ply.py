"""PLY: clouds and meshes, text and binary of both byte orders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError
from triscope.shape.surface import Cloud, Mesh

MOST = 200_000_000  # vertices or faces
TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2",
    "ushort": "u2", "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": ""}
# Our names of the scalars of a point, and the columns they are written to.
SCALARS = {"confidence": "confidence", "views": "views", "values": "deviation"}


@dataclass(frozen=True)
class _Field:
    name: str
    kind: str  # NumPy type of the values
    count: str = ""  # type of the number of items, where the field is a list


@dataclass(frozen=True)
class _Element:
    name: str
    number: int
    fields: tuple[_Field, ...] = ()

    @property
    def ragged(self) -> bool:
        """Whether its rows differ in length: points with lists, as OpenMVS writes their views."""
        return self.name != "face" and any(field.count for field in self.fields)

    def scalars(self) -> tuple[_Field, ...]:
        """The fields before the first list."""
        lists = [i for i, field in enumerate(self.fields) if field.count]
        return self.fields[: lists[0]] if lists else self.fields


def read_ply(path: str | Path) -> Cloud | Mesh:
    """The cloud of a file, or its mesh where it has faces; raises DataError."""
    path = Path(path)
    data = path.read_bytes()
    order, elements, start = _header(data, path)
    tables = _ascii(data[start:], elements, path) if not order else _binary(
        data, start, order, elements, path
    )  # fmt: skip
    vertex = tables.get("vertex")
    if vertex is None or not {"x", "y", "z"} <= set(vertex):
        raise DataError(f"{path} has no vertices with x, y and z.")
    points = np.stack([vertex[c] for c in "xyz"], 1).astype(np.float64)
    if not np.isfinite(points).all():
        raise DataError(f"{path}: points hold values that are not finite (NaN or infinity).")
    colours = None
    if {"red", "green", "blue"} <= set(vertex):
        colours = (
            np.stack([vertex[c] for c in ("red", "green", "blue")], 1).clip(0, 255).astype(np.uint8)
        )
    faces = tables.get("face", {}).get("list")
    if faces is not None and len(faces):
        return Mesh(points, faces.clip(-1, MOST).astype(np.int64), colours)
    normals = None
    if {"nx", "ny", "nz"} <= set(vertex):
        normals = np.stack([vertex[c] for c in ("nx", "ny", "nz")], 1).astype(np.float64)
    kinds = {"confidence": np.float32, "views": np.int32, "values": np.float32}
    more: dict[str, Any] = {
        ours: np.nan_to_num(vertex[theirs].clip(-1e9, 1e9)).astype(kinds[ours])
        for ours, theirs in SCALARS.items() if theirs in vertex
    }  # fmt: skip
    return Cloud(points, normals, colours, **more)


def write_ply(path: str | Path, what: Cloud | Mesh, *, text: bool = False) -> None:
    """Write a cloud or a mesh; binary little endian unless ``text``."""
    points = what.vertices if isinstance(what, Mesh) else what.points
    columns: list[tuple[str, str, NDArray[Any]]] = _columns("xyz", "f8", points)
    if isinstance(what, Cloud) and what.normals is not None:
        columns += _columns(("nx", "ny", "nz"), "f4", what.normals)
    if what.colours is not None:
        columns += _columns(("red", "green", "blue"), "u1", what.colours)
    if isinstance(what, Cloud):
        for ours, theirs in SCALARS.items():
            if (values := getattr(what, ours)) is not None:
                columns.append((theirs, "i4" if ours == "views" else "f4", values))
    table = np.zeros(len(points), [(name, "<" + kind) for name, kind, _ in columns])
    for name, _, values in columns:
        table[name] = values
    faces = what.faces if isinstance(what, Mesh) else None
    Path(path).write_bytes(_written(table, columns, faces, text))


def _written(table: Any, columns: Any, faces: Any, text: bool) -> bytes:
    words = {"f8": "double", "f4": "float", "u1": "uchar", "i4": "int"}
    head = ["ply", f"format {'ascii' if text else 'binary_little_endian'} 1.0"]
    head += ["comment written by Triscope", f"element vertex {len(table)}"]
    head += [f"property {words[kind]} {name}" for name, kind, _ in columns]
    if faces is not None:
        head += [f"element face {len(faces)}", "property list uchar int vertex_indices"]
    start = "\n".join([*head, "end_header\n"]).encode()
    if text:
        lines = [" ".join(f"{value:.17g}" for value in row) for row in table.tolist()]
        lines += [f"3 {a} {b} {c}" for a, b, c in (faces.tolist() if faces is not None else ())]
        return start + "".join(line + "\n" for line in lines).encode()
    body = table.tobytes()
    if faces is not None:
        rows = np.zeros(len(faces), [("n", "u1"), ("v", "<i4", 3)])
        rows["n"], rows["v"] = 3, faces
        body += rows.tobytes()
    return start + body


def _columns(names: Any, kind: str, values: NDArray[Any]) -> list[tuple[str, str, NDArray[Any]]]:
    return [(name, kind, values[:, i]) for i, name in enumerate(names)]


def _header(data: bytes, path: Path) -> tuple[str, list[_Element], int]:
    end = data.find(b"end_header", 0, 1 << 16)
    if not data.startswith(b"ply") or end < 0:
        raise DataError(f"{path} is not a PLY file: expected 'ply' and, soon, 'end_header'.")
    start = data.find(b"\n", end) + 1
    order, elements = None, list[_Element]()
    for line in data[:end].decode("latin-1").splitlines()[1:]:
        words = line.split()
        if not words or words[0] in ("comment", "obj_info"):
            continue
        if words[0] == "format" and len(words) > 1 and words[1] in ORDERS:
            order = ORDERS[words[1]]
        elif words[0] == "element" and len(words) == 3 and words[2].isdigit():
            if int(words[2]) > MOST:
                raise DataError(f"{path}: {int(words[2]):,} of {words[1]}: at most {MOST:,}.")
            elements.append(_Element(words[1], int(words[2])))
        elif words[0] == "property" and elements:
            elements[-1] = _property(elements[-1], words[1:], path)
        else:
            raise DataError(f"{path}: the line {line[:60]!r} of its header is not understood.")
    if order is None or not start:
        raise DataError(f"{path}: its header names no format that is read.")
    return order, elements, start


def _property(element: _Element, words: list[str], path: Path) -> _Element:
    field = None
    if len(words) == 2 and words[0] in TYPES:
        field = _Field(words[1], TYPES[words[0]])
    elif len(words) == 4 and words[0] == "list" and words[1] in TYPES and words[2] in TYPES:
        name = "list" if element.name == "face" else words[3]
        field = _Field(name, TYPES[words[2]], TYPES[words[1]])
    if field is None or field.name in [known.name for known in element.fields]:
        raise DataError(f"{path}: property {' '.join(words)!r} of {element.name} is not read.")
    return _Element(element.name, element.number, (*element.fields, field))


def _binary(
    data: bytes, at: int, order: str, elements: list[_Element], path: Path
) -> dict[str, dict[str, NDArray[Any]]]:
    tables: dict[str, dict[str, NDArray[Any]]] = {}
    for element in elements:
        if element.ragged:
            tables[element.name], at = _ragged(data, at, order, element, path)
            continue
        parts: list[Any] = []
        for field in element.fields:
            if field.count:  # lists of three only: anything else is refused below
                parts.append(("count", order + field.count))
            parts.append((field.name, order + field.kind, *((3,) if field.count else ())))
        kind = np.dtype(parts)
        need = kind.itemsize * element.number
        if at + need > len(data):
            raise DataError(
                f"{path} is cut off, or has faces that are no triangles: {element.number:,} "
                f"{element.name} need {need:,} bytes, {len(data) - at:,} are there."
            )
        table = np.frombuffer(data, kind, element.number, at)
        if "count" in (kind.names or ()) and not (table["count"] == 3).all():
            raise DataError(f"{path}: only triangles are read, but it has other faces.")
        tables[element.name] = {name: table[name] for name in kind.names or ()}
        at += need
    return tables


def _ragged(
    data: bytes, at: int, order: str, element: _Element, path: Path
) -> tuple[dict[str, NDArray[Any]], int]:
    """Points with lists: what stands before the lists, and where the last row ends.

    The lists are stepped over, row by row; what stands behind one is left out.
    """
    kinds = [np.dtype(order + field.kind) for field in element.scalars()]
    offsets = np.cumsum([0, *(kind.itemsize for kind in kinds)])
    steps = [
        (np.dtype(order + field.count), np.dtype(field.kind).itemsize) if field.count
        else (None, np.dtype(field.kind).itemsize)
        for field in element.fields[len(kinds) :]
    ]  # fmt: skip
    least = int(offsets[-1]) + sum(
        width if count is None else count.itemsize for count, width in steps
    )
    if at + least * element.number > len(data):
        raise DataError(
            f"{path} is cut off: {element.number:,} {element.name} need {least * element.number:,} "
            f"bytes or more, {len(data) - at:,} are there."
        )
    starts = np.zeros(element.number, np.int64)
    for row in range(element.number):
        starts[row] = at
        at += int(offsets[-1])
        for count, width in steps:
            if count is None:
                at += width
                continue
            number = int.from_bytes(
                data[at : at + count.itemsize], "little" if order == "<" else "big"
            )
            at += count.itemsize + number * width
        if at > len(data):
            raise DataError(
                f"{path} is cut off: {row:,} of {element.number:,} {element.name} are there."
            )
    columns = zip(element.scalars(), kinds, offsets, strict=False)
    return {f.name: _gathered(data, starts + offset, kind) for f, kind, offset in columns}, at


def _gathered(data: bytes, places: NDArray[np.int64], kind: np.dtype[Any]) -> NDArray[Any]:
    """One value at each place of the bytes."""
    raw = np.frombuffer(data, np.uint8)
    out = np.empty((len(places), kind.itemsize), np.uint8)
    for i in range(kind.itemsize):
        out[:, i] = raw[places + i]
    return out.view(kind)[:, 0]


def _ascii(data: bytes, elements: list[_Element], path: Path) -> dict[str, dict[str, NDArray[Any]]]:
    lines = data.decode("latin-1").split("\n")
    tables: dict[str, dict[str, NDArray[Any]]] = {}
    at = 0
    for element in elements:
        rows = lines[at : at + element.number]
        at += element.number
        fields = element.scalars() if element.ragged else element.fields
        if not fields:
            tables[element.name] = {}
            continue
        widths = [4 if field.count else 1 for field in fields]
        most = len(fields) if element.ragged else None
        try:
            table = np.array([row.split()[:most] for row in rows], np.float64)
        except ValueError as error:
            raise DataError(
                f"{path}: rows of {element.name} are no {sum(widths)} numbers (only triangles are "
                "read)."
            ) from error
        if len(rows) < element.number or (element.number and table.shape[1:] != (sum(widths),)):
            raise DataError(
                f"{path}: expected {element.number:,} rows of {sum(widths)} numbers for "
                f"{element.name}."
            )
        table = table.reshape(-1, sum(widths))
        if not (np.abs(table) < 1e300).all():
            raise DataError(f"{path}: {element.name} holds numbers that are not finite.")
        tables[element.name] = {}
        for field, start, width in zip(fields, np.cumsum([0, *widths]), widths, strict=False):
            columns = table[:, start : start + width]
            if field.count and not (columns[:, 0] == 3).all():
                raise DataError(f"{path}: only triangles are read, but it has other faces.")
            tables[element.name][field.name] = columns[:, 1:] if field.count else columns[:, 0]
    return tables
