"""COLMAP's sparse model as binary files."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError
from triscope.shape.formats._colmap_tables import (
    Image,
    Model,
    Point,
    checked,
    model_named,
    model_numbered,
)

MOST = 50_000_000  # points or observations: more is not a sparse model


class _Bytes:
    """A binary file that is read by struct formats and says where it was cut off."""

    def __init__(self, path: Path) -> None:
        self.path, self.at = path, 0
        self.data = path.read_bytes() if path.is_file() else b""
        if not self.data:
            raise DataError(f"{path} is missing or empty.")

    def take(self, form: str) -> tuple[Any, ...]:
        size = struct.calcsize("<" + form)
        if self.at + size > len(self.data):
            raise DataError(f"{self.path} is cut off after {len(self.data):,} bytes.")
        self.at += size
        return struct.unpack_from("<" + form, self.data, self.at - size)

    def count(self, least: int) -> int:
        """A number of entries of at least so many bytes each: no more than can be there."""
        (number,) = self.take("Q")
        if number > MOST or number * least > len(self.data) - self.at:
            raise DataError(f"{self.path} promises {number:,} entries, more than it has bytes.")
        return int(number)

    def table(self, dtype: Any, number: int) -> NDArray[Any]:
        kind = np.dtype(dtype)
        if self.at + number * kind.itemsize > len(self.data):
            raise DataError(f"{self.path} is cut off after {len(self.data):,} bytes.")
        found = np.frombuffer(self.data, kind, number, self.at)
        self.at += number * kind.itemsize
        return found

    def word(self) -> str:
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise DataError(f"{self.path}: a name does not end.")
        text = self.data[self.at : end].decode("utf-8", errors="replace")
        self.at = end + 1
        return text


OBSERVED = [("x", "<f8"), ("y", "<f8"), ("point", "<i8")]


def read(folder: Path) -> Model:
    """The model of cameras.bin, images.bin and points3D.bin."""
    model = Model()
    file = _Bytes(folder / "cameras.bin")
    for _ in range(file.count(24)):
        number, kind, w, h = file.take("iiQQ")
        name, params = model_numbered(kind, str(file.path))
        model.cameras[number] = checked(name, w, h, file.take(f"{params}d"), str(file.path))
    file = _Bytes(folder / "images.bin")
    for _ in range(file.count(73)):
        number, *values, camera = file.take("i7di")
        name = file.word()
        rows = file.table(OBSERVED, file.count(24))
        model.images[number] = Image(
            name, camera, tuple(values[:4]), tuple(values[4:]),
            np.stack([rows["x"], rows["y"]], 1), rows["point"].copy(),
        )  # fmt: skip
    file = _Bytes(folder / "points3D.bin")
    for _ in range(file.count(51)):
        number, *values = file.take("Q3d3Bd")
        track = file.table("<i4", 2 * file.count(8)).reshape(-1, 2)
        pairs = tuple((int(a), int(b)) for a, b in track)
        model.points[number] = Point(tuple(values[:3]), tuple(values[3:6]), values[6], pairs)
    return model


def write(folder: Path, model: Model) -> None:
    """Write the three files."""
    with (folder / "cameras.bin").open("wb") as file:
        _put(file, "Q", len(model.cameras))
        for i, c in model.cameras.items():
            _put(
                file,
                f"iiQQ{len(c.params)}d",
                i,
                model_named(c.model)[0],
                c.width,
                c.height,
                *c.params,
            )
    with (folder / "images.bin").open("wb") as file:
        _put(file, "Q", len(model.images))
        for i, image in model.images.items():
            _put(file, "i7di", i, *image.quaternion, *image.translation, image.camera)
            file.write(image.name.encode() + b"\0")
            rows = np.zeros(len(image.point_ids), OBSERVED)
            rows["x"], rows["y"], rows["point"] = *image.xy.T, image.point_ids
            _put(file, "Q", len(rows))
            file.write(rows.tobytes())
    with (folder / "points3D.bin").open("wb") as file:
        _put(file, "Q", len(model.points))
        for i, p in model.points.items():
            _put(file, "Q3d3BdQ", i, *p.xyz, *p.rgb, p.error, len(p.track))
            file.write(np.array(p.track, "<i4").tobytes())


def _put(file: BinaryIO, form: str, *values: Any) -> None:
    file.write(struct.pack("<" + form, *values))
