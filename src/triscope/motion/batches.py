"""Batches of clips for a training: cut, changed, stacked; a video that cannot be read is left out.

Videos are decoded once and kept small in memory as long as there is room, since a training reads
each of them a hundred times.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from triscope.errors import DataError, EmptyData
from triscope.kernel.data import Dataset, Sample
from triscope.kernel.data.video import Cut, Frames, open_video
from triscope.kernel.data.video.clips import numbers_of, to_rows
from triscope.kernel.results import Skipped
from triscope.motion.augment import Augmentation, resized

log = logging.getLogger("triscope")
ROOM = 1 << 30  # bytes of decoded frames that a training may keep
LARGER = 8 / 7  # frames are kept so much larger than the crop, as 256 is than 224


class Clips(NamedTuple):
    """One batch: clips uint8 (b, 3, t, h, w) and the numbers of their classes (b,)."""

    clips: Tensor
    labels: Tensor


class Kept:
    """Decoded frames of one video, small; the same interface as the video itself."""

    def __init__(self, name: str, frames: NDArray[np.uint8], times_s: NDArray[np.float64]) -> None:
        self.name, self.frames, self.times_s = name, frames, times_s

    def __len__(self) -> int:
        return len(self.frames)

    def read(self, numbers: Sequence[int], short: int = 0) -> NDArray[np.uint8]:
        """See ``kernel.data.video.Frames``; the size is the one that was kept."""
        return self.frames[np.asarray(numbers)]

    def walk(self, short: int = 0) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """See ``kernel.data.video.Frames``."""
        yield from zip(map(float, self.times_s), self.frames, strict=True)


class Library:
    """The videos of a training: kept while there is room, opened anew each time after that."""

    def __init__(self, samples: Sequence[Sample], short: int, room: int = ROOM) -> None:
        self.short, self.left = short, room
        self.samples: list[Sample] = []
        self.skipped: list[Skipped] = []
        self._kept: dict[int, Kept] = {}
        for sample in samples:
            self._add(sample)
        if not self.samples:
            told = "; ".join(skipped.error for skipped in self.skipped[:3])
            raise EmptyData(
                f"none of {len(samples)} videos can be read: {told}" if samples else "no video."
            )

    def _add(self, sample: Sample) -> None:
        try:
            frames = open_video(sample.source)  # type: ignore[arg-type]
            if self.left > 0:
                pictures = frames.read(range(len(frames)), self.short)
                self._kept[len(self.samples)] = Kept(sample.name, pictures, frames.times_s)
                self.left -= pictures.nbytes
            else:
                frames.read([0], self.short)
        except DataError as error:
            log.warning("left out: %s", error)
            self.skipped.append(Skipped(sample.name, str(error)))
            return
        self.samples.append(sample)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, place: int) -> Frames:
        kept = self._kept.get(place)
        return kept if kept is not None else open_video(self.samples[place].source)  # type: ignore[arg-type]


class ClipBatches:
    """``batches(epoch)`` is a sequence of :class:`Clips`, in an order drawn for that epoch.

    ``balance`` shows each class equally often.
    """

    def __init__(
        self,
        data: Dataset,
        classes: Sequence[str],
        cut: Cut,
        augment: Augmentation,
        *,
        batch: int,
        seed: int = 0,
        balance: bool = False,
        room: int = ROOM,
    ) -> None:
        labelled = [s for s in data if s.label in classes]
        self.cut, self.augment, self.seed = cut, augment, seed
        short = round(cut.size * LARGER)
        self.library = Library(labelled, short, room)
        self.skipped = self.library.skipped
        self.numbers = {label: i for i, label in enumerate(classes)}
        self.labels = [str(s.label) for s in self.library.samples]
        self.batch, self.balance = min(batch, len(self.library)), balance

    def __call__(self, epoch: int) -> Sequence[Clips]:
        """The batches of one epoch; the same for the same seed and epoch."""
        rng = np.random.default_rng([self.seed, epoch])
        order = self._balanced(rng) if self.balance else rng.permutation(len(self.library))
        groups = [order[i : i + self.batch] for i in range(0, len(order), self.batch)]
        return _Epoch(self.clips, epoch, [g.tolist() for g in groups if len(g) == self.batch])

    def _balanced(self, rng: np.random.Generator) -> NDArray[np.int64]:
        members = [
            np.flatnonzero([own == label for own in self.labels]) for label in set(self.labels)
        ]
        most = max(map(len, members))
        rows = [np.resize(rng.permutation(places), most) for places in sorted(members, key=tuple)]
        return rng.permutation(np.concatenate(rows))

    def clips(self, places: Sequence[int], epoch: int, number: int) -> Clips:
        """One batch; what it draws depends on seed, epoch and its number in the epoch."""
        rng = np.random.default_rng([self.seed, epoch, number])
        rows, labels = [], []
        for place in places:
            row, label = self._one(place, rng)
            rows.append(torch.from_numpy(row))
            labels.append(self.numbers[label])
        return Clips(torch.stack(rows), torch.tensor(labels))

    def _one(self, place: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], str]:
        frames = self.library[place]
        numbers = numbers_of(len(frames), self.cut, rng)[0]
        pictures = frames.read(list(numbers), round(self.cut.size * LARGER))
        if self.cut.square:
            pictures = _pressed(pictures)
        changed, label = self.augment(pictures, self.labels[place], rng)
        return to_rows(changed, self.cut), label if label in self.numbers else self.labels[place]


def _pressed(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The whole frame as a square, before it is cut."""
    return resized(pictures, min(pictures.shape[1:3]))


class _Epoch(Sequence[Clips]):
    def __init__(
        self, load: Callable[[Sequence[int], int, int], Clips], epoch: int, groups: list[list[int]]
    ) -> None:
        self.load, self.epoch, self.groups = load, epoch, groups

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self.load(self.groups[index], self.epoch, index)
