"""Bytes behind a path or an address, and the fingerprint by which an image is known."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from triscope.errors import UnreadableImage
from triscope.kernel.data.kept import active
from triscope.kernel.data.sample import Source

MAX_BYTES = 2 << 30
ARCHIVES = ("zip", "tar")


def is_address(source: object) -> bool:
    """True for an fsspec address: ``memory://a.png``, ``zip://a.png::parts.zip``, ``s3://…``."""
    return isinstance(source, str) and "://" in source


def read_bytes(source: str | Path, first: int | None = None) -> bytes:
    """The content of a file, or its ``first`` bytes; raises UnreadableImage with the reason.

    Files of more than 2 GB are refused, also where an archive would only unpack to that.
    """
    limit = MAX_BYTES + 1 if first is None else first
    kept = active()
    try:
        data = _read(str(source), limit) if kept is None else kept.read(str(source), _read, limit)
    except Exception as error:  # remote file systems raise what they like
        raise UnreadableImage(f"{source} cannot be read: {_reason(error)}.") from error
    if len(data) > MAX_BYTES:
        raise UnreadableImage(f"{source} is larger than {MAX_BYTES >> 30} GB.")
    return data


def _read(source: str, most: int) -> bytes:
    with _opened(source) as file:
        return bytes(file.read(most))


def _opened(source: str) -> Any:
    if is_address(source):
        system, path = file_system(source)
        return system.open(path, "rb")
    return Path(source).open("rb")


def file_system(address: str) -> tuple[Any, str]:
    """The fsspec file system of an address, and the path in it."""
    if address.split("://", 1)[0] in ARCHIVES and "::" in address:
        inner, outer = address.split("::", 1)
        return _archive(inner.split("://", 1)[0], outer), inner.split("://", 1)[1]
    from fsspec.core import url_to_fs

    system, path = url_to_fs(address)
    return system, path


@lru_cache(maxsize=8)
def _archive(kind: str, outer: str) -> Any:
    """An archive stays open: its directory is read once, not once an image."""
    import fsspec

    return fsspec.filesystem(kind, fo=outer)


def fingerprint(source: Source) -> str:
    """Hash of the content: of the bytes of a file, of the values of an array.

    A copied or renamed file is the same image; one that was encoded anew is not.
    """
    if isinstance(source, np.ndarray):
        head = f"{source.dtype.str} {source.shape}".encode()
        return _digest(head, np.ascontiguousarray(source).data)
    if is_address(source):
        return _digest(read_bytes(source))
    if Path(source).is_dir():
        return _of_folder(Path(source))
    try:
        state = Path(source).stat()
    except OSError:
        return _digest(read_bytes(source))  # which tells the reason
    return _of_file(str(source), state.st_mtime_ns, state.st_size)


def _of_folder(folder: Path) -> str:
    """A capture of several files (a scan): their names and contents together."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [str(path.relative_to(folder)).encode() for path in files]
    return _digest(*names, *(fingerprint(path).encode() for path in files))


@lru_cache(maxsize=1 << 18)
def _of_file(path: str, mtime_ns: int, size: int) -> str:
    """A file that has not changed is not read again."""
    return _digest(read_bytes(path))


def fingerprints(sources: Sequence[Source], workers: int = 4) -> list[str | None]:
    """The fingerprint of each source, read by several threads; None where it cannot be read."""
    with ThreadPoolExecutor(workers, thread_name_prefix="triscope-hash") as pool:
        return list(pool.map(_fingerprint_or_none, sources))


def _fingerprint_or_none(source: Source) -> str | None:
    try:
        return fingerprint(source)
    except UnreadableImage:
        return None


def _digest(*parts: Any) -> str:
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        hasher.update(part)
    return hasher.hexdigest()


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {error}"
