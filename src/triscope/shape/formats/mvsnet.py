"""The layout of MVSNet: ``images/``, ``cams/NNNNNNNN_cam.txt`` and ``pair.txt``.

The last line of a camera has two meanings. MVSNet writes ``DEPTH_MIN DEPTH_INTERVAL`` (then perhaps
the number of planes and DEPTH_MAX), PatchmatchNet ``DEPTH_MIN DEPTH_MAX``. With two numbers a file
does not say which, and a reader must be told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError
from triscope.shape.scene import Range, Scene, View, image_beside, numbers, read_text, size_of
from triscope.shape.warp import from_half_centres

Second = Literal["interval", "max"]
Pairs = Mapping[int, tuple[tuple[int, float], ...]]
ASK = (
    "its last line has two numbers: MVSNet means DEPTH_MIN DEPTH_INTERVAL, PatchmatchNet means "
    "DEPTH_MIN DEPTH_MAX. Say which with second='interval' or second='max' "
    "(--depth-line interval|max)."
)


@dataclass(frozen=True, eq=False)
class Camera:
    """What a ``_cam.txt`` says: pose, K as written, and the depth line (far 0: not said)."""

    cam_T_world: NDArray[np.float64]
    K: NDArray[np.float64]
    near: float = 0.0
    interval: float = 0.0
    planes: int = 0
    far: float = 0.0

    def range(self, planes: int) -> Range | None:
        """How deep to look; ``planes`` counts where the file gives an interval only."""
        number = self.planes or planes
        far = self.far or (self.near + self.interval * (number - 1) if self.interval else 0.0)
        return Range(self.near, far, self.planes) if self.near and far else None


def read_cam(path: str | Path, second: Second | None = None) -> Camera:
    """One camera file; raises DataError where it is damaged, or ambiguous and nobody said."""
    path = Path(path)
    words = read_text(path, 1 << 16).split()
    if len(words) < 27 or words[0] != "extrinsic" or words[17] != "intrinsic":
        raise DataError(
            f"{path} is not a camera of MVSNet: expected 'extrinsic' and 16 numbers, then "
            "'intrinsic' and 9."
        )
    values = numbers([*words[1:17], *words[18:]], str(path))
    pose, K = np.reshape(values[:16], (4, 4)), np.reshape(values[16:25], (3, 3))
    line = values[25:]
    if len(line) == 2 and second is None:
        raise DataError(f"{path}: {ASK}")
    if len(line) > 4 or len(line) == 1:
        raise DataError(f"{path}: expected 0, 2, 3 or 4 numbers after the intrinsic, got "
                        f"{len(line)}.")  # fmt: skip
    return _camera(pose, K, line, second)


def _camera(
    pose: NDArray[np.float64], K: NDArray[np.float64], line: Sequence[float], second: Second | None
) -> Camera:
    if not line:
        return Camera(pose, K)
    if len(line) == 2 and second == "max":
        return Camera(pose, K, near=line[0], far=line[1])
    number = round(line[2]) if len(line) > 2 else 0
    return Camera(pose, K, line[0], line[1], number, line[3] if len(line) > 3 else 0.0)


def write_cam(path: str | Path, camera: Camera) -> None:
    """Write one camera; the depth line with all four numbers, or ``near far`` without planes."""
    lines = ["extrinsic", *_rows(camera.cam_T_world), "", "intrinsic", *_rows(camera.K), ""]
    if camera.planes:
        far = camera.far or camera.near + camera.interval * (camera.planes - 1)
        lines.append(f"{camera.near:.17g} {camera.interval:.17g} {camera.planes} {far:.17g}")
    elif camera.far:
        lines.append(f"{camera.near:.17g} {camera.far:.17g}")
    elif camera.interval:
        lines.append(f"{camera.near:.17g} {camera.interval:.17g}")
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_pairs(path: str | Path) -> dict[int, tuple[tuple[int, float], ...]]:
    """``pair.txt``: for each reference its sources with their scores, best first."""
    path = Path(path)
    lines = [line.split() for line in read_text(path).splitlines() if line.strip()]
    if not lines or len(lines[0]) != 1 or not lines[0][0].isdigit():
        raise DataError(f"{path}: expected the number of references in its first line.")
    count = int(lines[0][0])
    if len(lines) != 1 + 2 * count:
        raise DataError(f"{path} promises {count} references, but has {(len(lines) - 1) / 2:g}.")
    pairs = {}
    for i in range(count):
        place = f"{path}, reference {i + 1} of {count}"
        reference = int(numbers(lines[1 + 2 * i][:1], place)[0])
        values = numbers(lines[2 + 2 * i], place)
        if int(values[0]) * 2 + 1 != len(values):
            raise DataError(
                f"{place}: promises {values[0]:g} sources, but names {(len(values) - 1) / 2:g}."
            )
        pairs[reference] = tuple(
            (int(a), b) for a, b in zip(values[1::2], values[2::2], strict=True)
        )
    return pairs


def write_pairs(path: str | Path, pairs: Pairs) -> None:
    """Write ``pair.txt``."""
    lines = [str(len(pairs))]
    for reference, sources in pairs.items():
        words = [word for i, score in sources for word in (str(i), f"{score:.17g}")]
        lines += [str(reference), " ".join([str(len(sources)), *words])]
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_scene(folder: str | Path, second: Second | None = None, planes: int = 192) -> Scene:
    """The scene of such a folder; its K have pixel centres at +0.5, as MVSNet means them."""
    folder = Path(folder)
    cams = sorted((folder / "cams").glob("*_cam.txt"))
    if not cams:
        raise DataError(f"{folder / 'cams'} has no *_cam.txt.")
    views, ranges, numbers_of = [], {}, {}
    for i, path in enumerate(cams):
        camera = read_cam(path, second)
        stem = path.name.removesuffix("_cam.txt")
        image = image_beside(folder / "images", stem)
        numbers_of[int(stem) if stem.isdigit() else i] = i
        depth = folder / "depths" / f"{stem}.pfm"
        views.append(
            View(stem, image, from_half_centres(camera.K), camera.cam_T_world, size_of(image),
                 depth if depth.is_file() else None)
        )  # fmt: skip
        if found := camera.range(planes):
            ranges[i] = found
    pairs = folder / "pair.txt"
    sources = renumbered(read_pairs(pairs), numbers_of, pairs) if pairs.is_file() else {}
    return Scene(tuple(views), sources, ranges, layout="mvsnet", unit=_unit(folder))


def write_scene(folder: str | Path, scene: Scene, *, copy_images: bool = True) -> Path:
    """Write the layout; images are copied (or linked), numbers start at 0."""
    import cv2

    folder = Path(folder)
    for part in ("images", "cams"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    more = len(list((folder / "cams").glob("*_cam.txt"))) - len(scene.views)
    if more > 0:
        raise DataError(
            f"{folder} holds a scene of {more + len(scene.views)} views, this one has "
            f"{len(scene.views)}: choose another folder, or remove that one."
        )
    for i, view in enumerate(scene.views):
        found = scene.ranges.get(i)
        K = view.K.copy()
        K[:2, 2] += 0.5
        camera = Camera(view.cam_T_world, K)
        if found:
            number = found.planes or 192
            step = (found.far - found.near) / (number - 1)
            camera = Camera(view.cam_T_world, K, found.near, step, number, found.far)
        write_cam(folder / "cams" / f"{i:08d}_cam.txt", camera)
        if copy_images:
            place = folder / "images" / f"{i:08d}.png"
            cv2.imwrite(str(place), cv2.cvtColor(view.read(), cv2.COLOR_RGB2BGR))
    if scene.sources:
        write_pairs(folder / "pair.txt", scene.sources)
    if scene.unit:
        (folder / "unit.txt").write_text(scene.unit + "\n", encoding="utf-8")
    return folder


def _unit(folder: Path) -> str:
    """The unit of the poses, which only our own writer notes."""
    path = folder / "unit.txt"
    return read_text(path, 100).strip() if path.is_file() else ""


def renumbered(pairs: Pairs, numbers_of: Mapping[int, int], path: Path) -> Pairs:
    """The pairs of the file ``path`` by the places of the views; raises DataError."""
    found = {}
    for reference, sources in pairs.items():
        for number in (reference, *(i for i, _ in sources)):
            if number not in numbers_of:
                raise DataError(
                    f"{path} names view {number}, but cams/ has {len(numbers_of)} views: "
                    f"{min(numbers_of)} to {max(numbers_of)}."
                )
        found[numbers_of[reference]] = tuple((numbers_of[i], score) for i, score in sources)
    return found


def _rows(matrix: NDArray[np.float64]) -> list[str]:
    return [" ".join(f"{value:.17g}" for value in row) for row in matrix]
