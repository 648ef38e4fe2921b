"""COLMAP's sparse model, text and binary: cameras, images, points3D.

Its pixel centres lie at +0.5 and become integers here. Cameras with distortion are refused: let
``triscope shape cameras`` (or COLMAP) undistort the images first.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError
from triscope.kernel.geometry.cameras import intrinsics, pose
from triscope.shape.scene import Scene, Sparse, View, numbers, read_text, size_of

# id, name, number of parameters, how many of them are focal lengths
MODELS = (
    (0, "SIMPLE_PINHOLE", 3, 1),
    (1, "PINHOLE", 4, 2),
    (2, "SIMPLE_RADIAL", 4, 1),
    (3, "RADIAL", 5, 1),
    (4, "OPENCV", 8, 2),
)
MOST = 50_000_000  # points or observations: more is not a sparse model


@dataclass
class Model:
    """The three tables as they stand in the files."""

    cameras: dict[int, Camera] = field(default_factory=dict)
    images: dict[int, Image] = field(default_factory=dict)
    points: dict[int, Point] = field(default_factory=dict)


@dataclass(frozen=True)
class Camera:
    """One camera: model name, width, height, parameters."""

    model: str
    width: int
    height: int
    params: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Image:
    """One image: quaternion (w, x, y, z) and translation of cam_T_world, its observations."""

    name: str
    camera: int
    quaternion: tuple[float, ...]
    translation: tuple[float, ...]
    xy: NDArray[np.float64]  # (n, 2)
    point_ids: NDArray[np.int64]  # (n,), -1 where none


@dataclass(frozen=True)
class Point:
    """One point: position, colour, error, and the images that see it with the observation."""

    xyz: tuple[float, ...]
    rgb: tuple[int, ...]
    error: float
    track: tuple[tuple[int, int], ...]


def read_scene(sparse: str | Path, images: str | Path) -> Scene:
    """The scene of a sparse model and the folder of its (undistorted) images."""
    model, images = read_model(sparse), Path(images)
    places = {number: i for i, number in enumerate(model.points)}
    views, seen = [], []
    for image in sorted(model.images.values(), key=lambda image: image.name):
        path = images / image.name
        if not path.is_file():
            raise DataError(f"{sparse} names {image.name}, but {images} has no such file.")
        camera = model.cameras.get(image.camera)
        if camera is None:
            raise DataError(f"{sparse}: {image.name} has camera {image.camera}, which is missing.")
        size = size_of(path)
        if size != (camera.height, camera.width):
            raise DataError(
                f"{path} has {size[1]} x {size[0]} pixels, but its camera {camera.width} x "
                f"{camera.height}: K belongs to another size. Give the images of the model."
            )
        turn = rotation(image.quaternion)
        name = Path(image.name).with_suffix("").as_posix().replace("/", "_")
        views.append(View(name, path, K_of(camera), pose(turn, image.translation), size))
        seen.append(np.array(
            sorted({places[i] for i in image.point_ids.tolist() if i in places}), np.int64
        ))  # fmt: skip
    if not views:
        raise DataError(f"{sparse} holds no image.")
    xyz = np.array([point.xyz for point in model.points.values()], np.float64).reshape(-1, 3)
    return Scene(tuple(views), sparse=Sparse(xyz, tuple(seen)), layout="colmap")


def K_of(camera: Camera) -> NDArray[np.float64]:  # noqa: N802
    """K with pixel centres at integers; raises DataError where the camera distorts."""
    _, _, _, focals = _model(camera.model)
    fx, fy = camera.params[0], camera.params[focals - 1]
    cx, cy = camera.params[focals : focals + 2]
    if any(abs(value) > 1e-12 for value in camera.params[focals + 2 :]):
        raise DataError(
            f"a camera of the model {camera.model} has distortion: undistort the images first "
            "(colmap image_undistorter, or triscope shape cameras)."
        )
    return intrinsics(fx, fy, cx - 0.5, cy - 0.5)


def rotation(quaternion: tuple[float, ...]) -> NDArray[np.float64]:
    """The matrix of a quaternion (w, x, y, z)."""
    w, x, y, z = np.asarray(quaternion) / (np.linalg.norm(quaternion) or 1.0)
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip


def quaternion(R: NDArray[np.float64]) -> tuple[float, ...]:
    """The quaternion (w, x, y, z), w >= 0, of a rotation: the eigenvector of Bar-Itzhack."""
    (a, b, c), (d, e, f), (g, h, i) = R
    K = np.array([
        [a - e - i, 0, 0, 0],
        [b + d, e - a - i, 0, 0],
        [c + g, f + h, i - a - e, 0],
        [h - f, c - g, d - b, a + e + i],
    ]) / 3  # fmt: skip
    _, vectors = np.linalg.eigh(K)  # reads the lower triangle
    x, y, z, w = vectors[:, -1]
    sign = -1.0 if w < 0 else 1.0
    return tuple(float(sign * value) for value in (w, x, y, z))


def model_of(scene: Scene) -> Model:
    """The tables of a scene, with one PINHOLE camera a view and no observations."""
    model = Model()
    none = np.zeros((0, 2)), np.zeros(0, np.int64)
    for i, view in enumerate(scene.views, 1):
        K, (h, w) = view.K, view.size
        params = (K[0, 0], K[1, 1], K[0, 2] + 0.5, K[1, 2] + 0.5)
        model.cameras[i] = Camera("PINHOLE", w, h, tuple(map(float, params)))
        name = view.image.name if isinstance(view.image, Path) else f"{view.name}.png"
        shift = tuple(map(float, view.cam_T_world[:3, 3]))
        model.images[i] = Image(name, i, quaternion(view.cam_T_world[:3, :3]), shift, *none)
    return model


def read_model(folder: str | Path) -> Model:
    """The model of a folder, binary where it is there, else text."""
    folder = Path(folder)
    if (folder / "cameras.bin").is_file():
        return _read_binary(folder)
    if (folder / "cameras.txt").is_file():
        return _read_text(folder)
    raise DataError(f"{folder} has neither cameras.bin nor cameras.txt: not a model of COLMAP.")


def write_model(folder: str | Path, model: Model, *, binary: bool = True) -> None:
    """Write the three files."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (_write_binary if binary else _write_text)(folder, model)


# ---- text


def _lines(path: Path) -> Iterator[tuple[str, list[str]]]:
    for i, line in enumerate(read_text(path).splitlines(), 1):
        if not line.startswith("#"):
            yield f"{path} line {i}", line.split()


def _read_text(folder: Path) -> Model:
    model = Model()
    for place, words in _lines(folder / "cameras.txt"):
        if not words:
            continue
        if len(words) < 5:
            raise DataError(f"{place}: expected id, model, width, height and parameters.")
        params = tuple(numbers(words[4:], place))
        size = [int(value) for value in numbers(words[2:4], place)]
        model.cameras[_id(words[0], place)] = _checked(words[1], size[0], size[1], params, place)
    rows = list(_lines(folder / "images.txt"))
    rows = rows[:-1] if len(rows) % 2 and not rows[-1][1] else rows
    if len(rows) % 2:
        raise DataError(f"{folder / 'images.txt'}: expected two lines an image.")
    for (place, words), (below, observed) in zip(rows[::2], rows[1::2], strict=True):
        if len(words) < 10 or len(observed) % 3:
            raise DataError(f"{place}: expected id, quaternion, translation, camera, name, and "
                            "triples in the next line.")  # fmt: skip
        values = numbers(words[1:8], place)
        table = np.reshape(numbers(observed, below), (-1, 3))
        model.images[_id(words[0], place)] = Image(
            " ".join(words[9:]), _id(words[8], place), tuple(values[:4]), tuple(values[4:]),
            table[:, :2], table[:, 2].astype(np.int64),
        )  # fmt: skip
    for place, words in _lines(folder / "points3D.txt"):
        if not words:
            continue
        if len(words) < 8 or len(words) % 2:
            raise DataError(f"{place}: expected id, x y z, r g b, error and pairs.")
        values = numbers(words[1:], place)
        track = tuple((int(a), int(b)) for a, b in zip(values[7::2], values[8::2], strict=True))
        rgb = tuple(int(value) for value in values[3:6])
        model.points[_id(words[0], place)] = Point(tuple(values[:3]), rgb, values[6], track)
    return model


def _write_text(folder: Path, model: Model) -> None:
    cameras = [
        f"{i} {c.model} {c.width} {c.height} {_words(c.params)}" for i, c in model.cameras.items()
    ]
    images: list[str] = []
    for i, image in model.images.items():
        head = f"{i} {_words(image.quaternion)} {_words(image.translation)}"
        images.append(f"{head} {image.camera} {image.name}")
        triples = zip(image.xy.tolist(), image.point_ids.tolist(), strict=True)
        images.append(" ".join(f"{x:.17g} {y:.17g} {p}" for (x, y), p in triples))
    points = [
        f"{i} {_words(p.xyz)} {' '.join(map(str, p.rgb))} {p.error:.17g} "
        + " ".join(f"{a} {b}" for a, b in p.track)
        for i, p in model.points.items()
    ]
    for name, lines in (("cameras", cameras), ("images", images), ("points3D", points)):
        text = "\n".join([f"# {name} of COLMAP, written by Triscope", *lines]) + "\n"
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")


# ---- binary


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


def _read_binary(folder: Path) -> Model:
    model = Model()
    file = _Bytes(folder / "cameras.bin")
    for _ in range(file.count(24)):
        number, kind, w, h = file.take("iiQQ")
        name, params = _model_of_id(kind, str(file.path))
        model.cameras[number] = _checked(name, w, h, file.take(f"{params}d"), str(file.path))
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


def _write_binary(folder: Path, model: Model) -> None:
    with (folder / "cameras.bin").open("wb") as file:
        _put(file, "Q", len(model.cameras))
        for i, c in model.cameras.items():
            _put(file, f"iiQQ{len(c.params)}d", i, _model(c.model)[0], c.width, c.height, *c.params)
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


def _model(name: str) -> tuple[int, str, int, int]:
    for row in MODELS:
        if row[1] == name:
            return row
    known = ", ".join(row[1] for row in MODELS)
    raise DataError(f"the camera model {name} is not read: expected one of {known}.")


def _model_of_id(number: int, place: str) -> tuple[str, int]:
    for kind, name, params, _ in MODELS:
        if kind == number:
            return name, params
    raise DataError(f"{place}: camera model number {number} is not read.")


def _checked(name: str, w: int, h: int, params: Any, place: str) -> Camera:
    if len(params) != _model(name)[2] or not np.isfinite(params).all():
        raise DataError(f"{place}: {name} has {_model(name)[2]} finite parameters, got {params}.")
    return Camera(name, w, h, tuple(params))


def _id(word: str, place: str) -> int:
    if not word.lstrip("-").isdigit():
        raise DataError(f"{place}: expected a number, got {word[:40]!r}.")
    return int(word)


def _words(values: Any) -> str:
    return " ".join(f"{value:.17g}" for value in values)
