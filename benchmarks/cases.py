"""Figures of a detector on test images: the same code for both sides of a comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.data import Item, read_mask
from triscope.kernel.metrics import Case, evaluate
from triscope.kernel.results import Heatmap

Detector = Callable[[NDArray[np.generic]], tuple[NDArray[np.float32], float]]


def figures(detector: Detector, items: Iterable[Item]) -> dict[str, Any]:
    """Image AUROC, pixel AUROC and AUPRO at the size of the captures, in percent."""
    found = evaluate(_cases(detector, items), draws=200)
    image, pixel = found.image or {}, found.pixel or {}
    return {
        "image_auroc": 100 * image["auroc"].value,
        "image_auroc_low": 100 * image["auroc"].low,
        "image_auroc_high": 100 * image["auroc"].high,
        "pixel_auroc": 100 * pixel["auroc"].value,
        "aupro": 100 * pixel["aupro_30"].value,
        "error": 100 * max(metric.error for metric in pixel.values()),
    }


def _cases(detector: Detector, items: Iterable[Item]) -> Iterator[Case]:
    from triscope.kernel.data import read_image

    for item in items:
        image = read_image(item.image)
        heat, score = detector(image)
        size = image.shape[:2]
        mask = read_mask(item)
        if mask is not None and mask.shape != size:
            larger = cv2.resize(mask.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST)
            mask = np.asarray(larger > 0)
        yield Case(item.image, item.label, Heatmap(heat, score, size), mask)
