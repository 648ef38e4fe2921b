"""STL and OBJ, and the reader that goes by the name of a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError
from triscope.shape.formats.ply import read_ply
from triscope.shape.scene import numbers, read_text
from triscope.shape.surface import Cloud, Mesh

STL_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("more", "<u2")])
MOST = 50_000_000  # triangles


def read_surface(path: str | Path) -> Cloud | Mesh:
    """A mesh or cloud by the name of its file: .ply, .stl or .obj."""
    path = Path(path)
    readers = {".ply": read_ply, ".stl": read_stl, ".obj": read_obj}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: expected a name that ends in {', '.join(readers)}.")
    if not path.is_file():
        raise DataError(f"{path} does not exist.")
    return reader(path)


def read_mesh(path: str | Path) -> Mesh:
    """A mesh; raises DataError where the file holds points only."""
    found = read_surface(path)
    if not isinstance(found, Mesh):
        raise DataError(f"{path} holds {len(found):,} points but no faces: a mesh is needed.")
    return found


def read_stl(path: str | Path) -> Mesh:
    """STL, binary or text; corners at the same place become one vertex."""
    path = Path(path)
    data = path.read_bytes()
    number = int.from_bytes(data[80:84], "little") if len(data) >= 84 else -1
    if number >= 0 and len(data) == 84 + number * STL_TRIANGLE.itemsize:
        corners = np.frombuffer(data, STL_TRIANGLE, number, 84)["corners"].astype(np.float64)
    elif data[:5].lower() == b"solid":
        corners = _text_corners(path)
    else:
        raise DataError(
            f"{path} is no STL file, or cut off: it promises {number:,} triangles, which take "
            f"{84 + max(number, 0) * STL_TRIANGLE.itemsize:,} bytes; it has {len(data):,}."
        )
    if not len(corners):
        raise DataError(f"{path} holds no triangle.")
    return welded(corners)


def _text_corners(path: Path) -> NDArray[np.float64]:
    rows = [line.split() for line in read_text(path).splitlines()]
    found = [words[1:4] for words in rows if words and words[0] == "vertex"]
    if len(found) % 3 or len(found) > 3 * MOST:
        raise DataError(f"{path}: {len(found):,} corners are no whole triangles.")
    values = numbers([word for words in found for word in words], str(path))
    if len(values) != 3 * len(found):
        raise DataError(f"{path}: a vertex needs three numbers.")
    return np.reshape(values, (-1, 3, 3))


def welded(corners: NDArray[np.float64]) -> Mesh:
    """Triangles (m, 3, 3) as a mesh with each place once."""
    vertices, index = np.unique(corners.reshape(-1, 3), axis=0, return_inverse=True)
    return Mesh(vertices, index.reshape(-1, 3).astype(np.int64))


def write_stl(path: str | Path, mesh: Mesh) -> None:
    """Write binary STL."""
    table = np.zeros(len(mesh.faces), STL_TRIANGLE)
    table["normal"], table["corners"] = mesh.normals(), mesh.corners
    head = b"written by Triscope".ljust(80) + len(table).to_bytes(4, "little")
    Path(path).write_bytes(head + table.tobytes())


def read_obj(path: str | Path) -> Mesh:
    """OBJ: vertices and faces; polygons are cut into fans, materials are left out."""
    path = Path(path)
    vertices: list[str] = []
    faces: list[list[int]] = []
    for i, line in enumerate(read_text(path).splitlines(), 1):
        words = line.split()
        if words and words[0] == "v":
            vertices += words[1:4]
        elif words and words[0] == "f":
            faces += _fan(words[1:], len(vertices) // 3, f"{path} line {i}")
    values = numbers(vertices, str(path))
    if not faces or len(values) % 3:
        raise DataError(f"{path} holds no face, or vertices without three numbers.")
    return Mesh(np.reshape(values, (-1, 3)), np.array(faces, np.int64))


def write_obj(path: str | Path, mesh: Mesh) -> None:
    """Write OBJ."""
    lines = [f"v {x:.17g} {y:.17g} {z:.17g}" for x, y, z in mesh.vertices.tolist()]
    lines += [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in mesh.faces.tolist()]
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _fan(words: list[str], known: int, place: str) -> list[list[int]]:
    try:
        index = [int(word.split("/")[0]) for word in words]
    except ValueError as error:
        raise DataError(f"{place}: a face names vertices by number.") from error
    index = [i - 1 if i > 0 else known + i for i in index]
    if len(index) < 3:
        raise DataError(f"{place}: a face needs three vertices.")
    return [[index[0], index[i], index[i + 1]] for i in range(1, len(index) - 1)]
