"""Batches of labelled images: read once, changed anew in each epoch, at the input of a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from triscope.errors import EmptyData
from triscope.kernel.data import Sample, load
from triscope.kernel.data.cache import ImageCache
from triscope.kernel.data.transforms import Chain, Transform, View, view_of
from triscope.kernel.results import Skipped
from triscope.kernel.runtime.image import Placed, fitted

KEPT_BYTES = 1 << 30  # of decoded images
UNCHANGED = Chain()


@dataclass(frozen=True, eq=False)
class Item:
    """One image at the input of a network, with the view that it was made of."""

    sample: Sample
    image: NDArray[np.float32]  # (3, h, w)
    view: View  # in pixels of the changed image
    place: Placed  # of the input in the changed image

    def boxes(self) -> NDArray[np.float32]:
        """The boxes (n, 4) in pixels of the input."""
        scale = [self.place.scale_x, self.place.scale_y] * 2
        return np.asarray(self.view.boxes / scale, np.float32)

    def mask(self) -> NDArray[np.bool_] | None:
        """The mask of the sample at the size of the input."""
        if self.view.mask is None:
            return None
        h, w = self.place.used
        small = cv2.resize(self.view.mask.astype(np.float32), (w, h), interpolation=cv2.INTER_AREA)
        whole = np.zeros(self.image.shape[1:], np.bool_)
        whole[:h, :w] = small > 0.5
        return whole


Collate = Callable[[Sequence[Item]], Any]


@dataclass
class Batches:
    """The batches of an epoch by its number: the same for the same seed and epoch.

    Broken images are found when the object is made and end in ``skipped``; decoded images are kept
    up to ``memory`` bytes. The rest that does not fill a batch waits for another epoch. With
    ``balance`` an epoch shows each label equally often: of the frequent ones some images wait,
    those of the rare ones come several times.
    """

    samples: Sequence[Sample]
    collate: Collate
    size: tuple[int, int]
    batch: int
    seed: int
    change: Transform = UNCHANGED
    keep_aspect: bool = True
    memory: int = KEPT_BYTES
    skipped: list[Skipped] = field(default_factory=list)
    problems: tuple[str, ...] = ()  # of labels, told to whoever fits
    balance: bool = False

    def __post_init__(self) -> None:
        self.cache = ImageCache(self.memory)
        usable = []
        for item in load(self.samples, lambda s: view_of(s, cache=self.cache).hw):
            if isinstance(item, Skipped):
                self.skipped.append(item)
            else:
                usable.append(item.sample)
        if not usable:
            broken = [f"{s.source}: {s.error}" for s in self.skipped[:3]]
            told = "; ".join([*self.problems[:3], *broken])
            raise EmptyData(f"no labelled image can be learned from. {told}".strip())
        self.samples = usable
        self.batch = min(self.batch, len(usable))

    def __call__(self, epoch: int) -> Sequence[Any]:
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(len(self.samples))
        if self.balance:
            order = evenly(order, [str(self.samples[i].label) for i in order])
        count = len(order) // self.batch
        return _Epoch(self, epoch, order[: count * self.batch].reshape(count, self.batch))

    def whole(self) -> Iterator[Any]:
        """All samples in order, batch by batch, the rest as well; for looks at held-out images."""
        for start in range(0, len(self.samples), self.batch):
            places = range(start, min(start + self.batch, len(self.samples)))
            yield self.collate([self.item(i, 0) for i in places])

    def item(self, index: int, epoch: int) -> Item:
        """One image as it is in one epoch."""
        rng = np.random.default_rng([self.seed, epoch, index])
        sample = self.samples[index]
        view = self.change(view_of(sample, cache=self.cache), rng)
        image, place = fitted(view.image, self.size, self.keep_aspect)
        return Item(sample, image, view, place)


class _Epoch(Sequence[Any]):
    def __init__(self, batches: Batches, epoch: int, groups: NDArray[Any]) -> None:
        self.batches, self.epoch, self.groups = batches, epoch, groups

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if isinstance(index, slice):
            return _Epoch(self.batches, self.epoch, self.groups[index])
        items = [self.batches.item(int(i), self.epoch) for i in self.groups[index]]
        return self.batches.collate(items)


def evenly(order: NDArray[np.int64], labels: Sequence[str]) -> NDArray[np.int64]:
    """As many places as in ``order``, those of each label equally often and in turn."""
    groups = [
        [i for i, own in zip(order, labels, strict=True) if own == name]
        for name in sorted(set(labels))
    ]
    turns = -(-len(order) // len(groups))
    rows = [[group[turn % len(group)] for group in groups] for turn in range(turns)]
    return np.array(rows, np.int64).reshape(-1)[: len(order)]


def images_of(items: Sequence[Item]) -> Tensor:
    """Float32 (b, 3, h, w)."""
    return torch.from_numpy(np.stack([item.image for item in items]))


def boxed(classes: Sequence[str]) -> Collate:
    """Batches ``{"images", "boxes", "labels"}`` for detectors; boxes of other classes are left."""
    number = {name: i for i, name in enumerate(classes)}

    def collate(items: Sequence[Item]) -> dict[str, Any]:
        boxes, labels = [], []
        for item in items:
            known = [i for i, label in enumerate(item.view.labels) if label in number]
            boxes.append(torch.from_numpy(item.boxes()[known]))
            labels.append(torch.tensor([number[item.view.labels[i]] for i in known]).long())
        return {"images": images_of(items), "boxes": boxes, "labels": labels}

    return collate


def named(classes: Sequence[str]) -> Collate:
    """Batches ``{"images", "labels"}`` for classifiers: int64 (b,)."""
    number = {name: i for i, name in enumerate(classes)}

    def collate(items: Sequence[Item]) -> dict[str, Any]:
        labels = torch.tensor([number[str(item.sample.label)] for item in items])
        return {"images": images_of(items), "labels": labels}

    return collate


def masked(classes: Sequence[str]) -> Collate:
    """Batches ``{"images", "masks", "labels", "drawn"}`` for segmentation.

    ``masks`` float32 (b, c, h, w), one map a class; ``labels`` float32 (b, c): which classes the
    image shows; ``drawn`` bool (b,): whether its masks are known (good images have empty ones).
    """
    number = {name: i for i, name in enumerate(classes)}

    def collate(items: Sequence[Item]) -> dict[str, Any]:
        images = images_of(items)
        masks = torch.zeros(len(items), len(classes), *images.shape[-2:])
        labels = torch.zeros(len(items), len(classes))
        drawn = torch.zeros(len(items), dtype=torch.bool)
        for i, item in enumerate(items):
            mask, place = item.mask(), number.get(str(item.sample.label))
            drawn[i] = mask is not None or item.sample.good
            if place is not None:
                labels[i, place] = 1
                if mask is not None:
                    masks[i, place] = torch.from_numpy(mask)
        return {"images": images, "masks": masks, "labels": labels, "drawn": drawn}

    return collate
