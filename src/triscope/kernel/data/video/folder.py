"""Folders of pictures as videos."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.errors import EmptyData
from triscope.kernel.data.image import read_image
from triscope.kernel.data.video.frames import USUAL_RATE, Frame, scaled

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")


class FrameFolder:
    """A folder of pictures, in the order of their names, as a video of 25 frames a second."""

    def __init__(self, folder: str | Path, rate: float = USUAL_RATE) -> None:
        self.name = str(folder)
        self.files = pictures_of(Path(folder))
        if not self.files:
            raise EmptyData(f"{folder} holds no picture ({', '.join(PICTURES[:3])} ...).")
        self.times_s = np.arange(len(self.files)) / rate

    def __len__(self) -> int:
        return len(self.files)

    def read(self, numbers: Sequence[int], short: int = 0) -> NDArray[np.uint8]:
        """See :class:`Frames`; a picture whose size differs is resized to that of the first."""
        frames = [self._picture(int(number), short) for number in numbers]
        first = frames[0].shape[:2]
        return np.stack([_resized(frame, first) for frame in frames])

    def walk(self, short: int = 0) -> Iterator[tuple[float, Frame]]:
        """See :class:`Frames`."""
        for number in range(len(self)):
            yield float(self.times_s[number]), self._picture(number, short)

    def _picture(self, number: int, short: int) -> Frame:
        image = read_image(self.files[number])
        if image.dtype != np.uint8:
            image = (image >> 8).astype(np.uint8)
        if image.ndim == 2:
            image = np.repeat(image[:, :, None], 3, axis=2)
        return _resized(image, scaled(image.shape[:2], short))


def pictures_of(folder: Path) -> list[Path]:
    """The pictures of a folder, ``img_2`` before ``img_10``."""
    found = [path for path in folder.iterdir() if path.suffix.lower() in PICTURES]
    return sorted(found, key=lambda path: natural(path.name))


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key for sorting by which ``img_2`` comes before ``img_10``."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts if p]


def _resized(image: NDArray[Any], size: tuple[int, int]) -> Frame:
    if image.shape[:2] == size:
        return np.asarray(image, np.uint8)
    smaller = size[0] * size[1] < image.shape[0] * image.shape[1]
    kind = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=kind), np.uint8)
