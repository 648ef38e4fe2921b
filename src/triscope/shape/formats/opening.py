"""Which layout a scene folder has, by its marks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from triscope.errors import DataError
from triscope.shape.formats import colmap, mvsnet, rigs
from triscope.shape.formats.mvsnet import Second
from triscope.shape.scene import Scene

Reader = Callable[[Path], Scene]


def open_scene(folder: str | Path, second: Second | None = None) -> Scene:
    """The scene of a folder: MVSNet, COLMAP, Middlebury, Strecha, or posed colour with depth.

    ``second`` says what the second number of a camera's depth line means, where two are there.
    Raises DataError naming the marks that were looked for.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: a scene is a folder of images and cameras.")
    readers = _readers(second)
    for mark, reader in readers.items():
        if any(folder.glob(mark)):
            return reader(folder)
    raise DataError(
        f"{folder} is no scene that is known: none of {', '.join(readers)} is there. From photos "
        f"alone, make the cameras first: triscope shape cameras {folder} -o SCENE"
    )


def is_scene(folder: Path) -> bool:
    """Whether a folder bears the marks of a scene."""
    return any(any(folder.glob(mark)) for mark in _readers(None) if mark != "sparse/**/cameras.*")


def _readers(second: Second | None) -> dict[str, Reader]:
    def sparse(folder: Path) -> Scene:
        place = folder / "sparse" / "0"
        return colmap.read_scene(place if place.is_dir() else folder / "sparse", folder / "images")

    return {
        "cams/*_cam.txt": lambda folder: mvsnet.read_scene(folder, second),
        "sparse/**/cameras.*": sparse,
        "*_par.txt": rigs.read_middlebury,
        "*.camera": rigs.read_strecha,
        "poses.txt": rigs.read_posed_depth,
    }
