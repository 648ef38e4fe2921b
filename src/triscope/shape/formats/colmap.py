"""COLMAP's sparse model, text and binary: cameras, images, points3D.

Its pixel centres lie at +0.5 and become integers here. Cameras with distortion are refused: let
``triscope shape cameras`` (or COLMAP) undistort the images first.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError
from triscope.kernel.geometry.cameras import intrinsics, pose
from triscope.shape.formats import _colmap_binary, _colmap_text
from triscope.shape.formats._colmap_tables import Camera, Image, Model, Point, model_named
from triscope.shape.scene import Scene, Sparse, View, size_of

__all__ = [
    "Camera",
    "Image",
    "K_of",
    "Model",
    "Point",
    "model_of",
    "quaternion",
    "read_model",
    "read_scene",
    "rotation",
    "write_model",
]


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
        seen.append(
            np.array(sorted({places[i] for i in image.point_ids.tolist() if i in places}), np.int64)
        )
    if not views:
        raise DataError(f"{sparse} holds no image.")
    xyz = np.array([point.xyz for point in model.points.values()], np.float64).reshape(-1, 3)
    return Scene(tuple(views), sparse=Sparse(xyz, tuple(seen)), layout="colmap")


def K_of(camera: Camera) -> NDArray[np.float64]:  # noqa: N802
    """K with pixel centres at integers; raises DataError where the camera distorts."""
    _, _, _, focals = model_named(camera.model)
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
        return _colmap_binary.read(folder)
    if (folder / "cameras.txt").is_file():
        return _colmap_text.read(folder)
    raise DataError(f"{folder} has neither cameras.bin nor cameras.txt: not a model of COLMAP.")


def write_model(folder: str | Path, model: Model, *, binary: bool = True) -> None:
    """Write the three files."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (_colmap_binary if binary else _colmap_text).write(folder, model)
