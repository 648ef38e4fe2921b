"""The tables of COLMAP's sparse model, as they stand in its files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError

# id, name, number of parameters, how many of them are focal lengths
MODELS = (
    (0, "SIMPLE_PINHOLE", 3, 1),
    (1, "PINHOLE", 4, 2),
    (2, "SIMPLE_RADIAL", 4, 1),
    (3, "RADIAL", 5, 1),
    (4, "OPENCV", 8, 2),
)


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


def model_named(name: str) -> tuple[int, str, int, int]:
    """The row of MODELS with this name; raises DataError where it is not read."""
    for row in MODELS:
        if row[1] == name:
            return row
    known = ", ".join(row[1] for row in MODELS)
    raise DataError(f"the camera model {name} is not read: expected one of {known}.")


def model_numbered(number: int, place: str) -> tuple[str, int]:
    """Name and number of parameters of a model by its number in binary files."""
    for kind, name, params, _ in MODELS:
        if kind == number:
            return name, params
    raise DataError(f"{place}: camera model number {number} is not read.")


def checked(name: str, w: int, h: int, params: Any, place: str) -> Camera:
    """The camera, where its parameters are as many as the model has, and finite."""
    if len(params) != model_named(name)[2] or not np.isfinite(params).all():
        raise DataError(
            f"{place}: {name} has {model_named(name)[2]} finite parameters, got {params}."
        )
    return Camera(name, w, h, tuple(params))
