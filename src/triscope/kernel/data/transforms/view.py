"""What a transform changes together: an image with its boxes, masks and points."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadLabels
from triscope.kernel.data.cache import ImageCache
from triscope.kernel.data.image import mask_of, read_image
from triscope.kernel.data.sample import Sample

Floats = NDArray[np.float64]


def _no_boxes() -> Floats:
    return np.zeros((0, 4))


def _no_points() -> Floats:
    return np.zeros((0, 2))


@dataclass(frozen=True, eq=False)
class View:
    """An image uint8 or uint16 (h, w[, 3]) and what lies on it.

    ``mask`` is (h, w), bool or uint8 or uint16 numbers of classes; ``boxes`` float64 (n, 4) xyxy
    with ``labels`` (n,) of any kind and, where known, ``masks`` bool (n, h, w) of the boxes;
    ``points`` float64 (m, 2). Transforms answer a new view; the arrays of the old one are never
    written to.
    """

    image: NDArray[Any]
    mask: NDArray[Any] | None = None
    boxes: Floats = field(default_factory=_no_boxes)
    labels: tuple[Any, ...] = ()
    masks: NDArray[np.bool_] | None = None
    points: Floats = field(default_factory=_no_points)

    def __post_init__(self) -> None:
        object.__setattr__(self, "boxes", np.asarray(self.boxes, np.float64).reshape(-1, 4))
        object.__setattr__(self, "points", np.asarray(self.points, np.float64).reshape(-1, 2))
        if len(self.boxes) != len(self.labels):
            raise BadLabels(f"{len(self.boxes)} boxes and {len(self.labels)} labels: one each.")
        for name, found in (("mask", self.mask), ("masks", self.masks)):
            if found is not None and found.shape[-2:] != self.hw:
                raise BadLabels(f"{name} of {found.shape[-2:]} on an image of {self.hw}.")
            if found is not None and found.dtype not in (np.bool_, np.uint8, np.uint16):
                raise BadLabels(f"{name} of {found.dtype}: expected bool, uint8 or uint16.")
        if self.masks is not None and len(self.masks) != len(self.boxes):
            raise BadLabels(f"{len(self.boxes)} boxes and {len(self.masks)} masks: one each.")

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        h, w = self.image.shape[:2]
        return h, w

    def only(self, keep: NDArray[Any]) -> View:
        """The boxes where ``keep`` bool (n,) is true, with their labels and masks."""
        labels = tuple(label for label, stays in zip(self.labels, keep, strict=True) if stays)
        masks = self.masks[keep] if self.masks is not None else None
        return replace(self, boxes=self.boxes[keep], labels=labels, masks=masks)

    def inside(self) -> NDArray[np.bool_]:
        """Which points lie on the image, bool (m,)."""
        h, w = self.hw
        low, high = self.points >= -0.5, self.points < [w - 0.5, h - 0.5]
        return np.asarray((low & high).all(axis=1))


def view_of(sample: Sample, *, masks: bool = False, cache: ImageCache | None = None) -> View:
    """The view of a sample: image, mask and boxes; with ``masks``, those of the boxes too.

    Raises DataError where the image cannot be read or a mask is of another size.
    """
    image = read_image(sample.source) if cache is None else cache.read(sample.source)
    hw = image.shape[:2]
    mask = mask_of(sample.mask, hw, sample.name) if sample.mask is not None else None
    boxes = np.array([box.box for box in sample.boxes], np.float64).reshape(-1, 4)
    drawn = None
    if masks and all(box.mask is not None for box in sample.boxes):
        each = [mask_of(box.mask, hw, sample.name) for box in sample.boxes if box.mask is not None]
        drawn = np.stack(each) if each else np.zeros((0, *hw), np.bool_)
    return View(image, mask, boxes, tuple(box.label for box in sample.boxes), drawn)
