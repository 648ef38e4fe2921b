"""From one format to another, a record at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from triscope.errors import UsageError
from triscope.segment.formats import coco, images, sa1b, yolo
from triscope.segment.formats.record import Record, Writer


@dataclass(frozen=True)
class Format:
    """How a format is read and written, and what it is."""

    read: Callable[[Path], Iterator[Record]]
    writer: Callable[[Path], Writer]
    about: str


FORMATS = {
    "sa1b": Format(sa1b.read, sa1b.Writer, "a JSON file an image, compressed run lengths"),
    "coco": Format(coco.read, coco.Writer, "one JSON file, compressed run lengths"),
    "voc": Format(images.read_voc, images.VocWriter, "object and class maps, boxes in XML"),
    "yolo": Format(yolo.read, yolo.Writer, "a text file an image, an outline a line"),
    "png": Format(images.read_png, images.PngWriter, "a PNG a mask"),
    "map": Format(images.read_maps, images.MapWriter, "a 16-bit PNG an image, a number a mask"),
}


def read(name: str, place: Path) -> Iterator[Record]:
    """Records of a place in that format."""
    return _format(name).read(place)


def writer(name: str, place: Path) -> Writer:
    """A writer of that format into a folder."""
    return _format(name).writer(place)


def convert(
    source: Path,
    source_format: str,
    target: Path,
    target_format: str,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Write every record of the source as another format; answers how many."""
    records = read(source_format, source)
    with writer(target_format, target) as out:
        for record in records:
            out.add(record)
            if progress is not None:
                progress(out.count)
    return out.count


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise UsageError(f"no format {name!r} for masks: there are {', '.join(FORMATS)}.")
    return FORMATS[name]
