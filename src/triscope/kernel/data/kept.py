"""Encoded files kept in memory for a while, so that what reads them again leaves the disk alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

Read = Callable[[str, int], bytes]  # a path or an address, and the most bytes to read of it
LARGEST = 32 << 20  # bytes of one file; larger ones are read as they are needed


class Kept:
    """The bytes of files, up to ``budget`` together; what came first stays. Several threads read.

    Sizes, fingerprints and pixels are asked for one after the other: each would open the file.
    """

    def __init__(self, budget: int) -> None:
        self.left = budget
        self._files: dict[str, bytes] = {}
        self._lock = Lock()

    def read(self, key: str, read: Read, limit: int) -> bytes:
        """The first ``limit`` bytes of a file, all of it being read where it fits."""
        found = self._files.get(key)
        if found is None:
            room = min(self.left, LARGEST)
            found = read(key, max(limit, room + 1))
            if len(found) <= room:
                self._keep(key, found)
        return found[:limit]

    def _keep(self, key: str, data: bytes) -> None:
        with self._lock:
            if key not in self._files and len(data) <= self.left:
                self._files[key] = data
                self.left -= len(data)


_active: list[Kept] = []


def active() -> Kept | None:
    """What keeps files now; None outside of :func:`files_kept`."""
    return _active[-1] if _active else None


@contextmanager
def files_kept(budget: int) -> Iterator[None]:
    """Files read inside are read from the disk once, while ``budget`` bytes hold them."""
    kept = Kept(budget)
    _active.append(kept)
    try:
        yield
    finally:
        _active.remove(kept)
