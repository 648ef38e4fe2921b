"""What a data set holds, counted; and a thorough look at every image of it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from triscope.errors import BadLabels, UnreadableImage
from triscope.kernel.data.image import mask_of, read_image, size_of
from triscope.kernel.data.loading import Loaded, load
from triscope.kernel.data.problems import Problems
from triscope.kernel.data.sample import Dataset, Sample
from triscope.kernel.results import Skipped

Report = Callable[[str, int, int | None], None]
TINY_PX = 8
NO_SPLIT, NO_LABEL = "no split", "no label"


def nothing(stage: str, done: int, total: int | None = None) -> None:
    """The progress of nobody."""


@dataclass(frozen=True)
class Summary:
    """Counts of a data set; sizes are (h, w) with how many images have them, most frequent first.

    ``splits`` counts labels in each split; ``boxes`` counts boxes of each class.
    """

    root: str
    layout: str
    samples: int
    splits: dict[str, dict[str, int]]
    classes: tuple[str, ...]
    boxes: dict[str, int]
    masks: int
    groups: int
    references: int
    sizes: tuple[tuple[tuple[int, int], int], ...]
    unreadable: int
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain types for JSON."""
        return {
            "root": self.root,
            "layout": self.layout,
            "samples": self.samples,
            "splits": self.splits,
            "classes": list(self.classes),
            "boxes": self.boxes,
            "masks": self.masks,
            "groups": self.groups,
            "references": self.references,
            "sizes": [{"h": h, "w": w, "images": count} for (h, w), count in self.sizes],
            "unreadable": self.unreadable,
            "problems": list(self.problems),
        }


def summarise(data: Dataset, workers: int = 2, report: Report = nothing) -> Summary:
    """Count what is there; of images only the first bytes are read, for their size."""
    problems = Problems()
    sizes: Counter[tuple[int, int]] = Counter()
    for item in _walk(data, lambda s: size_of(s.source), workers, report, "sizes"):
        if isinstance(item, Skipped):
            problems.add("images could not be read", f"{item.source} ({item.error})")
        else:
            sizes[item.prepared] += 1
    splits: dict[str, Counter[str]] = {}
    for sample in data:
        splits.setdefault(sample.split or NO_SPLIT, Counter())[sample.label or NO_LABEL] += 1
    return Summary(
        root=data.root,
        layout=data.layout,
        samples=len(data),
        splits={name: dict(sorted(counts.items())) for name, counts in sorted(splits.items())},
        classes=data.classes,
        boxes=dict(Counter(box.label for sample in data for box in sample.boxes)),
        masks=sum(sample.mask is not None for sample in data),
        groups=len({sample.group for sample in data} - {None}),
        references=sum(sample.reference is not None for sample in data),
        sizes=tuple(sizes.most_common()),
        unreadable=len(data) - sizes.total(),
        problems=(*data.problems, *problems.told()),
    )


@dataclass(frozen=True)
class Checked:
    """``problems`` should be mended before a fit; ``kinds`` counts pictures by depth and colour."""

    samples: int
    unreadable: tuple[Skipped, ...]
    problems: tuple[str, ...]
    kinds: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Look:
    pixels: str
    kind: str
    hw: tuple[int, int]
    faults: tuple[str, ...]


def check_data(data: Dataset, workers: int = 2, report: Report = nothing) -> Checked:
    """Decode every image and mask: damage, sizes, copies, splits that overlap, rare classes."""
    problems = Problems()
    kinds: Counter[str] = Counter()
    same: dict[str, list[Sample]] = {}
    unreadable = []
    for item in _walk(data, _look, workers, report, "check images"):
        if isinstance(item, Skipped):
            unreadable.append(item)
            problems.add("images could not be read", f"{item.source} ({item.error})")
            continue
        look: _Look = item.prepared
        kinds[look.kind] += 1
        same.setdefault(look.pixels, []).append(item.sample)
        for fault in look.faults:
            problems.add(fault, item.sample.name)
    _copies(same.values(), problems)
    _shared_groups(data, problems)
    _classes(data, problems)
    told = (*data.problems, *problems.told())
    return Checked(len(data), tuple(unreadable), told, dict(kinds))


def _walk(
    data: Dataset, look: Callable[[Sample], Any], workers: int, report: Report, stage: str
) -> Iterable[Loaded | Skipped]:
    for done, item in enumerate(load(data, look, workers), start=1):
        report(stage, done, len(data))
        yield item


def _look(sample: Sample) -> _Look:
    image = read_image(sample.source)
    hw = (image.shape[0], image.shape[1])
    faults = []
    if min(hw) < TINY_PX:
        faults.append(f"images have a side under {TINY_PX} px")
    if image.min() == image.max():
        faults.append("images are of one single value")
    if sample.mask is not None:
        faults += _mask_faults(sample, hw)
    if sample.reference is not None and size_of(sample.reference) != hw:
        faults.append("references are of another size than their image")
    kind = f"{'grey' if image.ndim == 2 else 'colour'}, {image.dtype.itemsize * 8} bit"
    content = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16)
    return _Look(f"{image.shape} {content.hexdigest()}", kind, hw, tuple(faults))


def _mask_faults(sample: Sample, hw: tuple[int, int]) -> list[str]:
    assert sample.mask is not None
    try:
        mask = mask_of(sample.mask, hw, sample.name)
    except BadLabels:
        return ["masks are of another size than their image"]
    except UnreadableImage:
        return ["masks could not be read"]
    return [] if mask.any() else ["defects have an empty mask"]


def _copies(same: Iterable[list[Sample]], problems: Problems) -> None:
    for group in same:
        if len(group) < 2:
            continue
        names = " = ".join(sample.name for sample in group[:3])
        problems.add("pictures are there more than once, pixel by pixel", names)
        if len({sample.split for sample in group}) > 1:
            problems.add("pictures stand in several splits", names)
        if len({sample.label for sample in group}) > 1:
            problems.add("pictures are there with different labels", names)


def _shared_groups(data: Dataset, problems: Problems) -> None:
    splits: dict[str, set[str | None]] = {}
    for sample in data:
        if sample.group is not None:
            splits.setdefault(sample.group, set()).add(sample.split)
    for group, found in splits.items():
        if len(found) > 1:
            problems.add("groups stand in several splits", group)


def _classes(data: Dataset, problems: Problems) -> None:
    boxes = [box.label for sample in data for box in sample.boxes]
    names = boxes or [s.label for s in data if s.label is not None and not s.good]
    counts = Counter(names)
    for name, count in counts.items():
        if count == 1:
            problems.add("classes have one single example", name)
    for name in data.classes:
        if name not in counts:
            problems.add("classes have no example", name)
