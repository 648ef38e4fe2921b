"""What writers share: images copied under names of their own, masks made of boxes and back."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError
from triscope.kernel.data.image import mask_of, read_mask, size_of
from triscope.kernel.data.problems import Problems
from triscope.kernel.data.sample import BoxLabel, Dataset, Sample
from triscope.kernel.data.source import read_bytes
from triscope.kernel.data.summary import Report

Size = tuple[int, int]
SPLIT_NAMES = {"train": "train", "calibrate": "val", "test": "test", None: "all"}


class Out:
    """The folder that is filled, and what could not be carried over."""

    def __init__(self, folder: Path, report: Report, total: int) -> None:
        self.folder = folder
        self.report = report
        self.total = total
        self.problems = Problems()
        self._names: set[str] = set()

    def samples(self, data: Dataset) -> Iterator[tuple[Sample, str, Size]]:
        """Each readable sample with a file name that no other has, and its size (h, w)."""
        for done, sample in enumerate(data, start=1):
            try:
                hw = size_of(sample.source)
            except DataError as error:
                self.problems.add("images could not be read and were left out", str(error))
                continue
            yield sample, self.own_name(sample), hw
            self.report("write", done, self.total)

    def own_name(self, sample: Sample) -> str:
        """The name of the file; with its folders in front, or a number, where that is taken."""
        in_memory = isinstance(sample.source, np.ndarray)
        path = PurePosixPath(str(sample.name).split("::", 1)[0].split("://", 1)[-1])
        ending = ".png" if in_memory else path.suffix.lower()
        parts = [part for part in path.parts if part not in ("/", "..")]
        choices = ["_".join([*parts[i:-1], path.stem]) for i in reversed(range(len(parts)))]
        numbered = (f"{choices[-1]}_{number}" for number in count(2))
        name = next(s for s in chain(choices, numbered) if s.lower() not in self._names)
        self._names.add(name.lower())
        return name.replace(" ", "_") + ending

    def image(self, sample: Sample, file: str) -> None:
        """Copy the image as it is; one in memory becomes a PNG."""
        if isinstance(sample.source, np.ndarray):
            self.picture(sample.source, file)
        else:
            self.data(read_bytes(sample.source), file)

    def picture(self, image: NDArray[np.generic], file: str) -> None:
        """An array as a PNG."""
        plain = image[..., 2::-1] if image.ndim == 3 else image
        self.data(cv2.imencode(".png", np.ascontiguousarray(plain))[1].tobytes(), file)

    def text(self, text: str, file: str) -> None:
        """A text file."""
        self.data(text.encode("utf-8"), file)

    def data(self, data: bytes, file: str) -> None:
        """A file with its folders."""
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def boxes_of(sample: Sample, hw: Size) -> tuple[BoxLabel, ...]:
    """The boxes of a sample; where it has a mask alone, one for each connected region."""
    if sample.boxes or sample.mask is None:
        return sample.boxes
    mask = mask_of(sample.mask, hw, sample.name)
    regions_found, regions, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=8
    )
    found = []
    for i in range(1, regions_found):
        x, y, w, h = (int(value) for value in stats[i, :4])
        label = sample.label or "defect"
        found.append(BoxLabel(label, (x, y, x + w, y + h), np.asarray(regions == i)))
    return tuple(found)


def filled_mask(sample: Sample, hw: Size) -> NDArray[np.bool_]:
    """The mask of a sample; where it has boxes alone, their masks or the boxes filled."""
    if sample.mask is not None:
        return mask_of(sample.mask, hw, sample.name)
    whole = np.zeros(hw, np.bool_)
    for box in sample.boxes:
        if box.mask is not None:
            whole |= read_mask(box.mask)
        else:
            x0, y0, x1, y1 = (round(value) for value in box.box)
            whole[max(y0, 0) : y1, max(x0, 0) : x1] = True
    return whole


def classes_of(data: Dataset) -> list[str]:
    """Names of the classes in their order; those that only samples know come last."""
    found = {box.label for sample in data for box in sample.boxes}
    found |= {s.label for s in data if s.mask is not None and s.label and not s.good}
    return [*data.classes, *sorted(found - set(data.classes))]
