"""Cameras in one file or beside the images: Middlebury, Strecha, and posed colour with depth."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from triscope.errors import DataError
from triscope.kernel.geometry.cameras import invert, pose, resize_K
from triscope.shape.scene import Scene, View, image_beside, numbers, read_text, size_of


def read_middlebury(folder: str | Path) -> Scene:
    """``*_par.txt``: ``name k11 … k33 r11 … r33 t1 t2 t3``, P = K [R t]; metres."""
    folder = Path(folder)
    files = sorted(folder.glob("*_par.txt"))
    if len(files) != 1:
        raise DataError(f"{folder} has {len(files)} files *_par.txt: expected one.")
    lines = [line.split() for line in read_text(files[0]).splitlines() if line.strip()]
    if not lines or not lines[0][0].isdigit() or int(lines[0][0]) != len(lines) - 1:
        raise DataError(f"{files[0]}: its first line must count the {len(lines) - 1} that follow.")
    views = []
    for i, words in enumerate(lines[1:], 2):
        if len(words) != 22:
            raise DataError(f"{files[0]} line {i}: expected a name and 21 numbers, got "
                            f"{len(words) - 1}.")  # fmt: skip
        values = numbers(words[1:], f"{files[0]} line {i}")
        K, R = np.reshape(values[:9], (3, 3)), np.reshape(values[9:18], (3, 3))
        image = image_beside(folder, Path(words[0]).stem)
        views.append(View(image.stem, image, K, pose(R, values[18:]), size_of(image)))
    return Scene(tuple(views), unit="m", layout="middlebury")


def read_strecha(folder: str | Path) -> Scene:
    """``NAME.camera`` beside each image: K, distortion, R (world from camera), centre, size.

    The images may be smaller than the size in the file says; K is scaled with them. Metres.
    """
    folder = Path(folder)
    views = []
    for path in sorted(folder.glob("*.camera")):
        values = numbers(read_text(path, 1 << 16).split(), str(path))
        if len(values) != 26:
            raise DataError(f"{path}: expected 26 numbers (K, distortion, R, centre, size), got "
                            f"{len(values)}.")  # fmt: skip
        if any(values[9:12]):
            raise DataError(f"{path} has radial distortion: undistort the image first.")
        image = image_beside(folder, Path(path.name.removesuffix(".camera")).stem)
        world_T_cam = pose(np.reshape(values[12:21], (3, 3)), values[21:24])
        size, said = size_of(image), (int(values[25]), int(values[24]))
        if abs(size[0] / said[0] - size[1] / said[1]) > 0.01:
            raise DataError(
                f"{image} has {size[1]} x {size[0]} pixels, but {path.name} speaks of "
                f"{said[1]} x {said[0]}: another shape, so K cannot be scaled to it."
            )
        K = resize_K(np.reshape(values[:9], (3, 3)), said, size)
        views.append(View(image.stem, image, K, invert(world_T_cam), size))
    if not views:
        raise DataError(f"{folder} has no *.camera.")
    return Scene(tuple(views), unit="m", layout="strecha")


def read_posed_depth(folder: str | Path) -> Scene:
    """``K.txt``, ``poses.txt`` (name, world_T_cam), ``views.txt``, ``images/``, ``depth/`` (mm)."""
    folder = Path(folder)
    K = np.reshape(numbers(read_text(folder / "K.txt").split(), str(folder / "K.txt")), (3, 3))
    views = []
    for i, line in enumerate(read_text(folder / "poses.txt").splitlines(), 1):
        words = line.split()
        place = f"{folder / 'poses.txt'} line {i}"
        if len(words) != 17:
            raise DataError(f"{place}: expected a name and 16 numbers, got {len(words) - 1}.")
        world_T_cam = np.reshape(numbers(words[1:], place), (4, 4))
        image = image_beside(folder / "images", words[0])
        depth = folder / "depth" / f"{words[0]}.png"
        views.append(
            View(words[0], image, K, np.linalg.inv(world_T_cam), size_of(image),
                 depth if depth.is_file() else None, 0.001)
        )  # fmt: skip
    scene = Scene(tuple(views), unit="m", layout="posed_depth")
    path = folder / "views.txt"
    return scene.with_(sources=_sources(path, scene)) if path.is_file() else scene


def _sources(path: Path, scene: Scene) -> dict[int, tuple[tuple[int, float], ...]]:
    places = {view.name: i for i, view in enumerate(scene.views)}
    found = {}
    for i, line in enumerate(read_text(path).splitlines(), 1):
        names = line.split()
        for name in names:
            if name not in places:
                raise DataError(
                    f"{path.name} line {i} names {name}, but poses.txt has no such view "
                    f"({len(places)} there, first {scene.views[0].name}, last "
                    f"{scene.views[-1].name})."
                )
        if names:
            scores = range(len(names) - 1, 0, -1)
            found[places[names[0]]] = tuple(
                (places[name], float(score)) for name, score in zip(names[1:], scores, strict=True)
            )
    return found
