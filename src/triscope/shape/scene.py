"""A scene: calibrated views of one part, which of them match which, and how deep to look."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError
from triscope.kernel.data import read_image
from triscope.kernel.data.header import HEADER_BYTES, upright_size
from triscope.kernel.data.source import read_bytes
from triscope.kernel.geometry.cameras import is_rotation, resize_K

Floats = NDArray[np.float64]
UNITS = ("mm", "cm", "m", "")
MAX_VIEWS = 20_000
ROTATION_WITHIN = 1e-2  # poses are often written with a few digits only


@dataclass(frozen=True, eq=False)
class View:
    """One calibrated photo.

    ``image`` is a path or an array; ``K`` (3, 3) belongs to ``size`` (h, w), the size of that
    image, pixel centres at integers; ``cam_T_world`` (4, 4). ``depth`` is a path or float32 array
    of true depth, where it is known (0 elsewhere), in the unit of the scene.
    """

    name: str
    image: Path | NDArray[Any]
    K: Floats
    cam_T_world: Floats
    size: tuple[int, int]
    depth: Path | NDArray[np.float32] | None = None
    depth_scale: float = 1.0  # what the values of the depth file are multiplied with

    def read(self) -> NDArray[np.uint8]:
        """RGB uint8 (h, w, 3)."""
        image = read_image(self.image)
        if image.dtype != np.uint8:
            image = (image >> 8).astype(np.uint8)
        if image.ndim == 2:
            image = np.repeat(image[..., None], 3, 2)
        return np.ascontiguousarray(image)

    def true_depth(self) -> NDArray[np.float32] | None:
        """The true depth (h, w), 0 where unknown; None where no one knows it."""
        if self.depth is None or isinstance(self.depth, np.ndarray):
            return self.depth
        if self.depth.suffix == ".pfm":
            from triscope.shape.formats.pfm import read_pfm

            return read_pfm(self.depth)
        return np.asarray(read_image(self.depth) * np.float32(self.depth_scale), np.float32)

    @property
    def centre(self) -> Floats:
        """Where the camera stands in the world."""
        turn, shift = self.cam_T_world[:3, :3], self.cam_T_world[:3, 3]
        return np.asarray(-turn.T @ shift)


@dataclass(frozen=True, eq=False)
class Sparse:
    """Points seen by several views: ``xyz`` (n, 3); ``seen[i]`` are the points of view i."""

    xyz: Floats
    seen: tuple[NDArray[np.int64], ...]


@dataclass(frozen=True)
class Range:
    """How deep to look in one view: nearest and farthest depth, and how many planes (0: free)."""

    near: float
    far: float
    planes: int = 0


@dataclass(frozen=True, eq=False)
class Scene:
    """Views by number, with what is known of the whole.

    ``sources[i]`` are the views that match view i, best first, as (number, score); ``ranges[i]``
    is how deep to look there. ``unit`` is that of the poses: mm, cm, m, or empty where unknown.
    """

    views: tuple[View, ...]
    sources: Mapping[int, tuple[tuple[int, float], ...]] = field(default_factory=dict)
    ranges: Mapping[int, Range] = field(default_factory=dict)
    sparse: Sparse | None = None
    unit: str = ""
    layout: str = ""
    problems: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise DataError for cameras that cannot be meant."""
        if len(self.views) > MAX_VIEWS:
            raise DataError(f"{len(self.views)} views: at most {MAX_VIEWS} are read.")
        if self.unit not in UNITS:
            raise DataError(f"unit={self.unit!r}: expected mm, cm, m, or nothing where unknown.")
        for view in self.views:
            check_view(view)
        names = [view.name for view in self.views]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(f"two views are named {twice!r}: names must differ.")

    def with_(self, **changes: Any) -> Scene:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def said(self, unit: str) -> Scene:
        """With the unit that somebody says, if any; raises DataError where its own is another."""
        if unit and self.unit not in ("", unit):
            raise DataError(f"unit={unit!r}: the scene says its poses are in {self.unit!r}.")
        return self.with_(unit=unit or self.unit)

    def number(self, name: str) -> int:
        """The number of the view of that name."""
        for i, view in enumerate(self.views):
            if view.name == name:
                return i
        raise DataError(
            f"no view is named {name!r}: the {len(self.views)} views are "
            f"{self.views[0].name} ... {self.views[-1].name}."
        )

    def resized(self, longest: int) -> Scene:
        """The same scene with images of at most so many pixels on the longer side."""
        return self.with_(views=tuple(resized(view, longest) for view in self.views))


def check_view(view: View) -> None:
    """Raise DataError, naming the view, where its camera cannot be meant."""
    h, w = view.size
    K, pose = view.K, view.cam_T_world
    if K.shape != (3, 3) or pose.shape != (4, 4):
        raise DataError(f"view {view.name}: K is (3, 3) and the pose (4, 4), got {K.shape} and "
                        f"{pose.shape}.")  # fmt: skip
    if not (np.isfinite(K).all() and np.isfinite(pose).all()):
        raise DataError(
            f"view {view.name}: its camera holds values that are not finite (NaN or infinity). "
            "Correct the file, or leave the view out."
        )
    if not is_rotation(pose[:3, :3], ROTATION_WITHIN) or not np.allclose(pose[3], [0, 0, 0, 1]):
        raise DataError(
            f"view {view.name}: its pose holds no rotation (determinant "
            f"{np.linalg.det(pose[:3, :3]):.3g}). Expected world to camera, [R t; 0 0 0 1]."
        )
    if K[0, 0] <= 0 or K[1, 1] <= 0 or abs(K[2, 2] - 1) > 1e-6:
        raise DataError(
            f"view {view.name}: K has focal lengths {K[0, 0]:g}, {K[1, 1]:g}: expected positive "
            "pixels and 1 at the lower right."
        )
    if not (-0.5 * w < K[0, 2] < 1.5 * w and -0.5 * h < K[1, 2] < 1.5 * h):
        raise DataError(
            f"view {view.name}: K has its principal point at ({K[0, 2]:g}, {K[1, 2]:g}), far "
            f"outside the image of {w} x {h}: K belongs to another size. Scale it with the image."
        )


def size_of(image: Path | NDArray[Any]) -> tuple[int, int]:
    """(h, w) of an image; of a file from its header."""
    if isinstance(image, np.ndarray):
        return image.shape[0], image.shape[1]
    size = upright_size(read_bytes(image, HEADER_BYTES))
    if size is None:
        pixels = read_image(image)
        size = (pixels.shape[0], pixels.shape[1])
    return size


def resized(view: View, longest: int) -> View:
    """The view with its image resized so that the longer side has at most so many pixels."""
    import cv2

    h, w = view.size
    factor = longest / max(h, w)
    if factor >= 1:
        return view
    size = (max(1, round(h * factor)), max(1, round(w * factor)))
    small = cv2.resize(view.read(), size[::-1], interpolation=cv2.INTER_AREA)
    return replace(view, image=small, K=resize_K(view.K, view.size, size), size=size)


def image_beside(folder: Path, stem: str) -> Path:
    """The image of that stem in a folder; raises DataError saying what is there."""
    for suffix in (".jpg", ".png", ".jpeg", ".JPG", ".PNG", ".tif", ".tiff", ".bmp", ".webp"):
        if (path := folder / f"{stem}{suffix}").is_file():
            return path
    there = sorted(p.name for p in folder.iterdir() if p.is_file()) if folder.is_dir() else []
    have = f"{len(there)} files there, first {there[0]}, last {there[-1]}" if there else "empty"
    raise DataError(f"{folder} has no image {stem}.jpg or .png ({have}).")


def numbers(words: Sequence[str], where: str) -> list[float]:
    """Words as finite numbers; raises DataError naming the place."""
    try:
        values = [float(word) for word in words]
    except ValueError as error:
        raise DataError(f"{where}: expected numbers, got {' '.join(words)[:80]!r}.") from error
    if not all(math.isfinite(value) for value in values):
        raise DataError(f"{where}: holds numbers that are not finite (NaN or infinity).")
    return values


def read_text(path: Path, limit: int = 1 << 28) -> str:
    """A text file of bounded size; raises DataError."""
    try:
        if path.stat().st_size > limit:
            raise DataError(
                f"{path} has {path.stat().st_size:,} bytes: at most {limit:,} are read."
            )
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text: {error}.") from error
