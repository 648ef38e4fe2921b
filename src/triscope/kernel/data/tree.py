"""All files under a folder, of a disk, an archive or any fsspec file system, listed once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from triscope.errors import BadLabels, EmptyData
from triscope.kernel.data.problems import Problems
from triscope.kernel.data.source import ARCHIVES, file_system, is_address, read_bytes

IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".jp2"}
# Pictures that are not read; a folder that holds some is told so.
OTHER_IMAGES = {".heic", ".heif", ".gif", ".avif", ".psd", ".exr", ".hdr", ".npy", ".raw"}
OTHER_IMAGES |= {".cr2", ".cr3", ".nef", ".arw", ".dng", ".svg", ".pdf", ".dcm"}
TEXT_LIMIT = 1 << 28  # a label file larger than 256 MB is refused
FILES_LIMIT = 5_000_000


@dataclass(frozen=True, eq=False)
class Tree:
    """``files`` are paths below ``root`` with ``/`` between, sorted; hidden ones are left out."""

    root: str
    files: tuple[str, ...]
    prefix: str = ""
    suffix: str = ""
    problems: tuple[str, ...] = ()

    def source(self, file: str) -> Path | str:
        """The path or address under which :func:`read_image` finds a file."""
        if self.prefix or self.suffix:
            return f"{self.prefix}{file}{self.suffix}"
        return Path(self.root) / file

    def text(self, file: str) -> str:
        """A text file as UTF-8, with or without a byte order mark."""
        data = self.bytes(file)
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise BadLabels(f"{self.source(file)} is not a text in UTF-8: {error}.") from error

    def bytes(self, file: str) -> bytes:
        """A label file; one of more than 256 MB is refused."""
        data = read_bytes(self.source(file), TEXT_LIMIT + 1)
        if len(data) > TEXT_LIMIT:
            raise BadLabels(f"{self.source(file)} is larger than {TEXT_LIMIT >> 20} MB.")
        return data

    @cached_property
    def names(self) -> frozenset[str]:
        """The files, for quick look-up."""
        return frozenset(self.files)

    def images(self, folder: str = "") -> list[str]:
        """The images below a folder."""
        return [file for file in self.below(folder) if suffix_of(file) in IMAGES]

    def below(self, folder: str = "") -> Iterator[str]:
        """The files below a folder, at any depth."""
        start = f"{folder}/" if folder else ""
        return (file for file in self.files if file.startswith(start))

    @cached_property
    def folders(self) -> frozenset[str]:
        """All folders that hold a file at some depth."""
        return frozenset(
            str(parent) for file in self.files for parent in PurePosixPath(file).parents
        ) - {"."}

    def children(self, folder: str = "") -> list[str]:
        """Names of the folders directly inside a folder."""
        start = f"{folder}/" if folder else ""
        inside = (f[len(start) :] for f in self.folders if f.startswith(start))
        return sorted({name.split("/", 1)[0] for name in inside if name})


def suffix_of(file: str) -> str:
    """The ending in lower case, with its dot."""
    return PurePosixPath(file).suffix.lower()


def stem_of(file: str) -> str:
    """The name without folders and ending."""
    return PurePosixPath(file).stem


def parent_of(file: str) -> str:
    """The name of the folder that directly holds the file; empty at the root."""
    return PurePosixPath(file).parent.name


def list_tree(root: str | Path) -> Tree:
    """List a folder, a ``.zip`` / ``.tar`` file or an fsspec address."""
    text = str(root)
    if is_address(text):
        return _remote(text)
    path = Path(root)
    if path.is_file() and path.suffix.lower().lstrip(".") in ARCHIVES:
        return _remote(f"{path.suffix.lower().lstrip('.')}://::{path}")
    if not path.is_dir():
        raise EmptyData(f"{root} is not a folder{_nearest(path)}.")
    problems = Problems()
    files = tuple(sorted(_limited(_walk(path, problems), text)))
    return Tree(text, files, problems=problems.told())


def _walk(root: Path, problems: Problems) -> Iterator[str]:
    """Links to folders are followed, but no folder is entered twice on one way down."""

    def closed(error: OSError) -> None:
        problems.add(f"folders cannot be listed ({error.strerror})", str(error.filename))

    for folder, folders, files in os.walk(root, onerror=closed, followlinks=True):
        here = Path(folder)
        way = {os.path.realpath(p) for p in (here, *here.parents)}
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".")
            and not ((here / name).is_symlink() and os.path.realpath(here / name) in way)
        ]
        relative = here.relative_to(root)
        yield from ((relative / name).as_posix() for name in files if not name.startswith("."))


def _remote(address: str) -> Tree:
    inner, _, outer = address.partition("::")
    try:
        system, path = file_system(address)
        found = system.find(path)
    except FileNotFoundError:
        raise EmptyData(f"{address}: there is no such file or folder.") from None
    except Exception as error:  # archives and remote file systems raise what they like
        reason = f"{type(error).__name__}: {error}"
        raise EmptyData(f"{address} cannot be opened: {reason}.") from error
    base = path.strip("/")
    files = (name.strip("/")[len(base) :].lstrip("/") for name in found)
    listed = [f for f in files if f and not any(part.startswith(".") for part in f.split("/"))]
    prefix = inner if inner.endswith("/") else inner + "/"
    tail = f"::{outer}" if outer else ""
    return Tree(address, tuple(sorted(_limited(listed, address))), prefix, tail)


def _limited(files: Iterable[str], root: str) -> Iterator[str]:
    for count, file in enumerate(files):
        if count == FILES_LIMIT:
            raise EmptyData(f"{root} holds more than {FILES_LIMIT:,} files: give a folder inside.")
        yield file


def _nearest(path: Path) -> str:
    """The part of a path that does exist, as a hint."""
    for parent in path.parents:
        if parent.is_dir():
            return f"; there is {parent}" if str(parent) != "." else ""
    return ""
