"""Decoded images kept in memory, so that what fits is read from the disk once."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

import numpy as np

from triscope.errors import BadSettings
from triscope.kernel.data.image import Image, read_image
from triscope.kernel.data.sample import Source


class ImageCache:
    """``read(source)`` as :func:`read_image`, keeping images up to ``budget`` bytes.

    What came first stays, since a training walks over all images again and again. Kept arrays are
    not writable. Several threads may read.
    """

    def __init__(self, budget: int, read: Callable[[Source], Image] = read_image) -> None:
        if budget < 0:
            raise BadSettings(f"budget={budget}: expected 0 or more bytes.")
        self.budget = budget
        self.used = 0
        self.hits = 0
        self.misses = 0
        self._read = read
        self._kept: dict[str, Image] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def read(self, source: Source) -> Image:
        """The image, from memory where it is kept."""
        if isinstance(source, np.ndarray):
            return self._read(source)
        key = str(source)
        with self._lock:
            found = self._kept.get(key)
            self.hits += found is not None
            self.misses += found is None
        return found if found is not None else self._keep(key, self._read(source))

    def _keep(self, key: str, image: Image) -> Image:
        with self._lock:
            if key not in self._kept and self.used + image.nbytes <= self.budget:
                image.setflags(write=False)
                self._kept[key] = image
                self.used += image.nbytes
        return image
