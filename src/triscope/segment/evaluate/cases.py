"""Images with true masks, one after the other: what all evaluations of prompts walk over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadLabels, EmptyData
from triscope.kernel.data import Dataset, Loaded, Sample, load, mask_of, read_image
from triscope.kernel.results import Skipped
from triscope.segment.synth import scene
from triscope.segment.training.groups import usable_groups

Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Case:
    """One image with its masks bool (h, w), and what each shows where the data says it."""

    name: str
    image: NDArray[Any]
    masks: tuple[Bools, ...]
    group: str | None = None
    labels: tuple[str, ...] = ()


def cases_of(
    data: Dataset, *, parts: bool = False, limit: int = 0, skipped: list[Skipped] | None = None
) -> Iterator[Case]:
    """Cases of the samples that have a mask; with ``parts`` each connected region is a mask.

    ``limit`` keeps that many samples, evenly spread. Unreadable ones go to ``skipped``.
    """
    samples = [sample for sample in data if sample.mask is not None or _drawn(sample)]
    if not samples:
        raise EmptyData(f"{data.root or 'the data'}: no sample has a mask to compare with.")
    if limit and limit < len(samples):
        chosen = np.linspace(0, len(samples) - 1, limit).round().astype(int)
        samples = [samples[i] for i in dict.fromkeys(chosen.tolist())]
    for item in load(samples, lambda sample: _read(sample, parts)):
        if isinstance(item, Loaded):
            if item.prepared.masks:
                yield item.prepared
        elif skipped is not None:
            skipped.append(item)


def scenes(
    count: int, hw: tuple[int, int] = (256, 256), first_seed: int = 2_000_000_000
) -> Iterator[Case]:
    """Generated scenes that no training has seen, with the masks of their objects and parts."""
    for seed in range(first_seed, first_seed + count):
        made = scene(seed, hw)
        masks = tuple(made.mask(int(group)) for group in usable_groups(made))
        if masks:
            yield Case(f"scene {seed}", made.image, masks)


def _drawn(sample: Sample) -> bool:
    return any(box.mask is not None for box in sample.boxes)


def _read(sample: Sample, parts: bool) -> Case:
    image = read_image(sample.source)
    hw = (image.shape[0], image.shape[1])
    drawn: list[tuple[Bools, str | None]]
    if sample.boxes and _drawn(sample) and parts:
        drawn = [(mask_of(box.mask, hw), box.label) for box in sample.boxes if box.mask is not None]
    else:
        masks = [mask_of(sample.mask, hw)] if sample.mask is not None else []
        masks = [part for mask in masks for part in _regions(mask)] if parts else masks
        drawn = [(mask, sample.label) for mask in masks]
    for mask, _ in drawn:
        if mask.shape != hw:
            raise BadLabels(f"{sample.name}: the mask is {mask.shape}, the image {hw} (h, w).")
    kept = [(mask, label) for mask, label in drawn if mask.any()]
    masks = [mask for mask, _ in kept]
    labels = [label for _, label in kept if label]
    told = tuple(labels) if len(labels) == len(kept) else ()
    return Case(sample.name, image, tuple(masks), sample.group or sample.label, told)


def _regions(mask: Bools) -> list[Bools]:
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return [labels == region for region in range(1, count)]
