"""What readers of labels share: boxes checked against their image, masks too, images by name."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from triscope.errors import DataError
from triscope.kernel.data.image import size_of
from triscope.kernel.data.problems import Problems
from triscope.kernel.data.sample import GOOD, BoxLabel, Source, Split
from triscope.kernel.data.tree import Tree, parent_of, stem_of

SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "trainval": "train",
    "val": "calibrate",
    "valid": "calibrate",
    "validation": "calibrate",
    "calibrate": "calibrate",
    "test": "test",
    "testing": "test",
}
ROUNDING_PX = 0.5  # a box further outside its image than this is reported


def checked_boxes(
    boxes: Iterable[BoxLabel],
    hw: tuple[int, int] | None,
    place: str,
    problems: Problems,
    classes: Sequence[str] | None = None,
) -> tuple[BoxLabel, ...]:
    """The boxes that can be used: clipped to the image (h, w), each once, of known classes."""
    kept: dict[tuple[str, tuple[float, ...]], BoxLabel] = {}
    for label in boxes:
        if classes is not None and label.label not in classes:
            problems.add("boxes of a class that is not in the list of classes were left out", place)
            continue
        box = _inside(label.box, hw, place, problems)
        if box is None:
            continue
        if (label.label, box) in kept:
            problems.add("boxes given twice were counted once", place)
            continue
        kept[label.label, box] = BoxLabel(label.label, box, label.mask, label.difficult)
    return tuple(kept.values())


def _inside(
    box: tuple[float, float, float, float],
    hw: tuple[int, int] | None,
    place: str,
    problems: Problems,
) -> tuple[float, float, float, float] | None:
    if not all(math.isfinite(value) for value in box):
        problems.add("boxes with a corner that is no finite number were left out", place)
        return None
    x0, y0, x1, y1 = box
    if x1 <= x0 or y1 <= y0:
        problems.add("boxes without area were left out", place)
        return None
    if hw is None:
        return box
    h, w = hw
    clipped = (max(x0, 0.0), max(y0, 0.0), min(x1, float(w)), min(y1, float(h)))
    if clipped[2] <= clipped[0] or clipped[3] <= clipped[1]:
        problems.add("boxes wholly outside their image were left out", place)
        return None
    if max(abs(a - b) for a, b in zip(box, clipped, strict=True)) > ROUNDING_PX:
        problems.add("boxes that reach outside their image were clipped", place)
    return clipped


def label_of(boxes: Sequence[BoxLabel], given: int, place: str, problems: Problems) -> str | None:
    """The label of an image from its boxes: the most frequent class, or good where none was given.

    None where ``given`` boxes were, but none can be used: what nobody can place is still no sign
    of a good part.
    """
    if boxes:
        return Counter(box.label for box in boxes).most_common(1)[0][0]
    if not given:
        return GOOD
    problems.add("images of which no box can be used stay without label", place)
    return None


def size_or_none(source: Source, place: str, problems: Problems) -> tuple[int, int] | None:
    """(h, w) of an image, or None and a problem where it cannot be read."""
    try:
        return size_of(source)
    except DataError as error:
        problems.add(f"images could not be read ({error})", place)
        return None


class ByStem:
    """Images of a tree found by their name without folder and ending."""

    def __init__(self, tree: Tree, images: Iterable[str]) -> None:
        self.tree = tree
        self.found: dict[str, list[str]] = {}
        for file in images:
            self.found.setdefault(stem_of(file), []).append(file)

    def near(self, file: str, stem: str | None = None) -> str | None:
        """The image of this stem that shares most of its path with ``file``."""
        candidates = self.found.get(stem if stem is not None else stem_of(file), [])
        return max(candidates, key=lambda other: _shared(file, other), default=None)


def _shared(a: str, b: str) -> int:
    """How many of the leading folders two paths share."""
    count = 0
    for one, other in zip(a.split("/")[:-1], b.split("/")[:-1], strict=False):
        if one != other:
            break
        count += 1
    return count


def listed_splits(
    tree: Tree, problems: Problems, files: Mapping[str, str] | None = None
) -> dict[str, Split]:
    """Splits from ``train.txt``, ``val.txt``, ``test.txt`` (at the top or in ImageSets/): by stem.

    ``trainval.txt`` counts where there is no ``train.txt``. A name in two lists is in the later of
    train, calibrate, test, and reported. ``files`` gives the places of files that are to be taken
    for others.
    """
    lists = {
        stem_of(file).lower(): place
        for file, place in (files or {file: file for file in tree.files}).items()
        if file.endswith(".txt") and _is_list_place(file) and stem_of(file).lower() in SPLITS
    }
    if "train" in lists:
        lists.pop("trainval", None)
    splits: dict[str, Split] = {}
    for name in SPLITS:
        for line in tree.text(lists[name]).splitlines() if name in lists else ():
            if not line.strip():
                continue
            stem = stem_of(line.split()[0].replace("\\", "/"))
            if splits.get(stem, SPLITS[name]) != SPLITS[name]:
                problems.add("names stand in two of the lists of splits; the later counts", stem)
            splits[stem] = SPLITS[name]
    return splits


def _is_list_place(file: str) -> bool:
    return "/" not in file or "imagesets" in file.lower() or parent_of(file).lower() == "splits"


def folder_split(file: str) -> Split | None:
    """The split named by a folder on the way to the file: ``train/images/a.jpg``."""
    for part in file.split("/")[:-1]:
        name = part.lower().rstrip("0123456789").removeprefix("images_").removesuffix("_images")
        if name in SPLITS:
            return SPLITS[name]
    return None
