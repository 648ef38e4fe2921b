"""VOC XML: one file of boxes an image, beside it or in ``Annotations/``; lists of splits in text.

Corners of VOC count pixels from 1 and both lie inside the box. Where a set has a corner 0 it was
written by a tool that counts from 0, and its corners are taken as they stand.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from triscope.errors import BadLabels
from triscope.kernel.data.layouts._labels import (
    ByStem,
    checked_boxes,
    folder_split,
    label_of,
    listed_splits,
    size_or_none,
)
from triscope.kernel.data.layouts._xml import parse, text_at
from triscope.kernel.data.problems import Problems
from triscope.kernel.data.sample import BoxLabel, Dataset, Sample
from triscope.kernel.data.tree import Tree, stem_of, suffix_of
from triscope.kernel.geometry import boxes as box_math

Corners = tuple[float, float, float, float]


def recognise(tree: Tree) -> bool:
    """There are images, and an XML file that begins as an ``<annotation>``."""
    xml = next((file for file in tree.files if suffix_of(file) == ".xml"), None)
    return xml is not None and bool(tree.images()) and b"<annotation" in tree.bytes(xml)[:2000]


def read(tree: Tree) -> Dataset:
    """One sample an image; an image without XML has no label, one without objects is good."""
    problems = Problems()
    images = ByStem(tree, tree.images())
    splits = listed_splits(tree, problems)
    found = _annotations(tree, images, problems)
    from_zero = _count_from_zero(found, problems)
    samples = []
    for file in tree.images():
        split = splits.get(stem_of(file)) or folder_split(file)
        labels: tuple[BoxLabel, ...] = ()
        label = None
        if file in found:
            labels = _boxes(tree, file, found[file], from_zero, problems)
            label = label_of(labels, len(list(found[file].iter("object"))), file, problems)
        else:
            problems.add("images have no XML that can be read and stay without label", file)
        samples.append(Sample(tree.source(file), file, label, boxes=labels, split=split))
    _missing(splits, images, problems)
    classes = sorted({box.label for sample in samples for box in sample.boxes})
    return Dataset(tuple(samples), tree.root, "voc", tuple(classes), problems.told())


def _annotations(tree: Tree, images: ByStem, problems: Problems) -> dict[str, Element]:
    """The parsed XML of each image that has one."""
    found: dict[str, Element] = {}
    for file in tree.files:
        if suffix_of(file) != ".xml":
            continue
        try:
            root = parse(tree.bytes(file), "the file")  # without its name all are one kind
        except BadLabels as error:
            problems.add(f"XML files were left out ({error})", file)
            continue
        named = stem_of(text_at(root, "filename").replace("\\", "/"))
        image = images.near(file) or images.near(file, named)
        if image is None:
            problems.add("XML files belong to no image", file)
        else:
            found[image] = root
    return found


def _corners(item: Element) -> Corners:
    values = [text_at(item, f"bndbox/{name}") for name in ("xmin", "ymin", "xmax", "ymax")]
    x0, y0, x1, y1 = (float(value) for value in values)
    return x0, y0, x1, y1


def _count_from_zero(found: dict[str, Element], problems: Problems) -> bool:
    """True where a corner is 0, which a count from 1 does not have."""
    for image, root in found.items():
        for item in root.iter("object"):
            try:
                if 0 in _corners(item)[:2]:
                    problems.add("corners count pixels from 0, not from 1 as VOC has it", image)
                    return True
            except ValueError:
                continue
    return False


def _boxes(
    tree: Tree, file: str, root: Element, from_zero: bool, problems: Problems
) -> tuple[BoxLabel, ...]:
    labels = []
    for item in root.iter("object"):
        try:
            corners = _corners(item)
        except ValueError:
            problems.add("objects without four numbers as corners were left out", file)
            continue
        box = corners if from_zero else tuple(box_math.from_voc(corners)[0].tolist())
        name = text_at(item, "name")
        if not name:
            problems.add("objects without a name were left out", file)
            continue
        labels.append(BoxLabel(name, box, difficult=text_at(item, "difficult") == "1"))
    hw = size_or_none(tree.source(file), file, problems)
    return checked_boxes(labels, hw, file, problems)


def _missing(splits: Mapping[str, str], images: ByStem, problems: Problems) -> None:
    for stem in splits:
        if stem not in images.found:
            problems.add("names in the lists of splits have no image", stem)
