"""YOLO text: ``labels/a.txt`` for ``images/a.jpg``, names of classes in ``data.yaml`` or a text.

A line is ``class cx cy w h`` or ``class x1 y1 x2 y2 x3 y3 …`` (a polygon), in shares of the image.
An image without a label file is background: good.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from triscope.errors import BadLabels
from triscope.kernel.data.layouts._labels import (
    checked_boxes,
    folder_split,
    label_of,
    listed_splits,
    size_or_none,
)
from triscope.kernel.data.layouts._yaml import names_of
from triscope.kernel.data.problems import Problems
from triscope.kernel.data.sample import BoxLabel, Dataset, Sample
from triscope.kernel.data.tree import Tree, parent_of, stem_of, suffix_of
from triscope.kernel.geometry import boxes as box_math
from triscope.kernel.geometry.masks import Polygons, Union

NAMES = ("classes.txt", "obj.names", "labels.txt", "predefined_classes.txt")


def recognise(tree: Tree) -> bool:
    """Images, and a folder ``labels`` of texts or a list of classes with texts beside images."""
    if not tree.images():
        return False
    if any(parent_of(f) == "labels" or "/labels/" in f"/{f}" for f in _label_files(tree)):
        return True
    return bool(_names_file(tree)) and bool(_label_files(tree))


def read(tree: Tree) -> Dataset:
    """One sample an image; the label is the most frequent class of its boxes."""
    problems = Problems()
    classes = _classes(tree)
    labels = set(_label_files(tree))
    listed = listed_splits(tree, problems)
    samples = []
    for file in tree.images():
        text = next((t for t in _texts_for(file) if t in labels), None)
        labels.discard(text or "")
        boxes, given = _boxes(tree, file, text, classes, problems) if text else ((), 0)
        masks = tuple(box.mask for box in boxes if isinstance(box.mask, Polygons))
        mask = Union(masks, masks[0].size) if masks else None
        split = listed.get(stem_of(file)) or folder_split(file)
        label = label_of(boxes, given, file, problems)
        samples.append(Sample(tree.source(file), file, label, mask, boxes, split))
    for text in sorted(labels):
        problems.add("label files belong to no image", text)
    found = {box.label for sample in samples for box in sample.boxes}
    order = (*classes, *sorted(found - set(classes))) if classes else sorted(found, key=_natural)
    return Dataset(tuple(samples), tree.root, "yolo", tuple(order), problems.told())


def _natural(name: str) -> tuple[int, str]:
    return (int(name) if name.isdecimal() else -1, name)


def _label_files(tree: Tree) -> list[str]:
    stems = {stem_of(image) for image in tree.images()}
    return [
        file
        for file in tree.files
        if suffix_of(file) == ".txt"
        and (stem_of(file) in stems or "/labels/" in f"/{file}")
        and file.rsplit("/", 1)[-1] not in NAMES
    ]


def _texts_for(image: str) -> list[str]:
    """Where the label file of an image may be: in ``labels`` for ``images``, or beside it."""
    stem = image.rsplit(".", 1)[0] + ".txt"
    parts = stem.split("/")
    swapped = [
        "/".join([*parts[:i], "labels", *parts[i + 1 :]])
        for i in reversed(range(len(parts) - 1))
        if parts[i] == "images"
    ]
    return [*swapped, "labels/" + stem, "labels/" + parts[-1], stem]


def _names_file(tree: Tree) -> str | None:
    yaml = [f for f in tree.files if suffix_of(f) in (".yaml", ".yml") and f.count("/") == 0]
    texts = [f for f in tree.files if f.rsplit("/", 1)[-1] in NAMES and f.count("/") <= 1]
    return next((f for f in yaml if names_of(tree.text(f))), None) or next(iter(texts), None)


def _classes(tree: Tree) -> tuple[str, ...]:
    file = _names_file(tree)
    if file is None:
        return ()
    if suffix_of(file) in (".yaml", ".yml"):
        return names_of(tree.text(file))
    return tuple(line.strip() for line in tree.text(file).splitlines() if line.strip())


def _boxes(
    tree: Tree, file: str, text: str, classes: Sequence[str], problems: Problems
) -> tuple[tuple[BoxLabel, ...], int]:
    """Those that can be used, and how many were given: one where the text cannot be read."""
    try:
        lines = [line.split() for line in tree.text(text).splitlines() if line.strip()]
    except BadLabels as error:
        problems.add(f"label files were left out ({error})", text)
        return (), 1
    hw = size_or_none(tree.source(file), file, problems) if lines else None
    if hw is None:
        return (), len(lines)
    labels = []
    for words in lines:
        try:
            labels.append(_label(words, hw, classes))
        except (ValueError, OverflowError):
            problems.add("lines that are not 'class cx cy w h' or a polygon were left out", text)
        except IndexError:
            problems.add("boxes of a class that is not in the list of classes were left out", text)
    return checked_boxes(labels, hw, text, problems), len(lines)


def _label(words: Sequence[str], hw: tuple[int, int], classes: Sequence[str]) -> BoxLabel:
    number = int(words[0])
    if number < 0 or (classes and number >= len(classes)):
        raise IndexError(number)
    name = classes[number] if classes else str(number)
    values = [float(word) for word in words[1:]]
    if any(not math.isfinite(value) or abs(value) > 100 for value in values):
        raise ValueError("shares of an image are small finite numbers")
    if len(values) == 4:
        x0, y0, x1, y1 = box_math.from_yolo(values, hw)[0].tolist()
        return BoxLabel(name, (x0, y0, x1, y1))
    if len(values) < 6 or len(values) % 2:
        raise ValueError("neither a box nor a polygon")
    edges = np.array(values).reshape(-1, 2) * [hw[1], hw[0]]
    box = (*edges.min(axis=0).tolist(), *edges.max(axis=0).tolist())
    return BoxLabel(name, box, Polygons((edges - 0.5,), hw))
