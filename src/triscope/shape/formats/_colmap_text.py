"""COLMAP's sparse model as text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from triscope.errors import DataError
from triscope.shape.formats._colmap_tables import Image, Model, Point, checked
from triscope.shape.scene import numbers, read_text


def _lines(path: Path) -> Iterator[tuple[str, list[str]]]:
    for i, line in enumerate(read_text(path).splitlines(), 1):
        if not line.startswith("#"):
            yield f"{path} line {i}", line.split()


def read(folder: Path) -> Model:
    """The model of cameras.txt, images.txt and points3D.txt."""
    model = Model()
    for place, words in _lines(folder / "cameras.txt"):
        if not words:
            continue
        if len(words) < 5:
            raise DataError(f"{place}: expected id, model, width, height and parameters.")
        params = tuple(numbers(words[4:], place))
        size = [int(value) for value in numbers(words[2:4], place)]
        model.cameras[_id(words[0], place)] = checked(words[1], size[0], size[1], params, place)
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


def write(folder: Path, model: Model) -> None:
    """Write the three files."""
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


def _id(word: str, place: str) -> int:
    if not word.lstrip("-").isdigit():
        raise DataError(f"{place}: expected a number, got {word[:40]!r}.")
    return int(word)


def _words(values: Any) -> str:
    return " ".join(f"{value:.17g}" for value in values)
