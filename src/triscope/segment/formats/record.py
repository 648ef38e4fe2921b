"""One image with its masks, as all formats give and take it."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from triscope.errors import BadLabels, UnreadableImage
from triscope.kernel.data.header import HEADER_BYTES, upright_size
from triscope.kernel.geometry.rle import Rle

SHARD = 1000  # records in a folder that a writer makes
IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


@dataclass(frozen=True, eq=False)
class Mask:
    """One mask with its label; ``extra`` holds what its format says beside it (SA-1B's scores)."""

    rle: Rle
    label: str = "object"
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Record:
    """The masks of one image; ``name`` is its file name, ``hw`` its size (h, w)."""

    name: str
    hw: tuple[int, int]
    masks: tuple[Mask, ...] = ()

    def __post_init__(self) -> None:
        for i, mask in enumerate(self.masks):
            if mask.rle.size != self.hw:
                raise BadLabels(
                    f"{self.name}: mask {i} is {mask.rle.size}, the image {self.hw} (h, w)."
                )


class Writer(ABC):
    """Takes records one by one; used in a ``with`` block, which finishes the files."""

    def __init__(self, place: Path) -> None:
        self.place, self.count = place, 0
        place.mkdir(parents=True, exist_ok=True)

    def add(self, record: Record) -> None:
        """Write one record."""
        self._write(record)
        self.count += 1

    @abstractmethod
    def _write(self, record: Record) -> None: ...

    def close(self) -> None:  # noqa: B027 - most formats have nothing to finish
        """Finish the files."""

    def shard(self) -> Path:
        """The folder for the next record: a thousand to a folder."""
        folder = self.place / f"{self.count // SHARD:06d}"
        if self.count % SHARD == 0:
            folder.mkdir(exist_ok=True)
        return folder

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def files(place: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    """Files below a folder in a fixed order; only one folder's names are held at a time."""
    if not place.is_dir():
        raise BadLabels(f"{place} is not a folder: give the folder that holds the masks.")
    names = sorted(os.scandir(place), key=lambda entry: entry.name)
    for entry in names:
        if entry.is_file() and entry.name.lower().endswith(endings):
            yield Path(entry.path)
    for entry in names:
        if entry.is_dir():
            yield from files(Path(entry.path), endings)


def size_of(image: Path) -> tuple[int, int]:
    """Size (h, w) of an image file from its header."""
    with image.open("rb") as file:
        size = upright_size(file.read(HEADER_BYTES))
    if size is None:
        raise UnreadableImage(f"{image}: the size cannot be read from its header.")
    return size


def image_of(labels: Path, images: Path | None = None) -> Path:
    """The image that belongs to a file of labels: of the same stem, beside it or in ``images``."""
    folders = [images] if images else [labels.parent, _twin(labels.parent)]
    for folder in folders:
        for ending in IMAGES:
            path = folder / f"{labels.stem}{ending}"
            if path.is_file():
                return path
    raise BadLabels(
        f"{labels.name} has no image {labels.stem}.jpg or .png in "
        f"{' or '.join(str(folder) for folder in folders)}: its size is needed."
    )


def _twin(labels: Path) -> Path:
    """``…/labels/train`` -> ``…/images/train``."""
    parts = ["images" if part == "labels" else part for part in labels.parts]
    return Path(*parts)
