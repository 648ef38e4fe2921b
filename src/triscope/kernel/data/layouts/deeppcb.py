"""DeepPCB: ``a_test.jpg`` with the aligned good picture ``a_temp.jpg``; boxes in ``*_not/a.txt``.

A line is ``x1 y1 x2 y2 type``, types numbered from 1. The template is the sample's reference.
"""

from __future__ import annotations

from triscope.errors import BadLabels
from triscope.kernel.data.layouts._labels import (
    ByStem,
    checked_boxes,
    label_of,
    listed_splits,
    size_or_none,
)
from triscope.kernel.data.problems import Problems
from triscope.kernel.data.sample import BoxLabel, Dataset, Sample, Split
from triscope.kernel.data.tree import Tree, stem_of, suffix_of

CLASSES = ("open", "short", "mousebite", "spur", "copper", "pin-hole")
TEST, TEMPLATE = "_test", "_temp"


def recognise(tree: Tree) -> bool:
    """Pairs ``*_test`` and ``*_temp`` of images, and a folder ``*_not``."""
    stems = {stem_of(file) for file in tree.images()}
    pairs = any(stem.removesuffix(TEST) + TEMPLATE in stems for stem in stems if TEST in stem)
    return pairs and any(folder.endswith("_not") for folder in tree.folders)


def read(tree: Tree) -> Dataset:
    """One sample a tested image; ``group`` is its board."""
    problems = Problems()
    texts = ByStem(tree, (f for f in tree.files if suffix_of(f) == ".txt" and "_not/" in f))
    images = ByStem(tree, tree.images())
    splits = _splits(tree, problems)
    samples = []
    for file in tree.images():
        stem = stem_of(file)
        if not stem.endswith(TEST):
            continue
        number = stem.removesuffix(TEST)
        text = texts.near(file, number)
        boxes, given = _boxes(tree, file, text, problems) if text else ((), 0)
        if text is None:
            problems.add("images have no label file and stay without label", file)
        template = images.near(file, number + TEMPLATE)
        samples.append(
            Sample(
                tree.source(file),
                file,
                label_of(boxes, given, file, problems) if text else None,
                boxes=boxes,
                split=splits.get(number),
                group=file.rsplit("/", 2)[-2] if file.count("/") else None,
                reference=tree.source(template) if template else None,
            )
        )
    return Dataset(tuple(samples), tree.root, "deeppcb", CLASSES, problems.told())


def _splits(tree: Tree, problems: Problems) -> dict[str, Split]:
    """The lists may stand one folder down, beside the groups (``PCBData/test.txt``)."""
    moved = {file.rsplit("/", 1)[-1]: file for file in tree.files if "_not/" not in file}
    return listed_splits(tree, problems, moved)


def _boxes(
    tree: Tree, file: str, text: str, problems: Problems
) -> tuple[tuple[BoxLabel, ...], int]:
    """Those that can be used, and how many were given: one where the text cannot be read."""
    labels = []
    try:
        lines = [line for line in tree.text(text).splitlines() if line.strip()]
    except BadLabels as error:
        problems.add(f"label files were left out ({error})", text)
        return (), 1
    for line in lines:
        try:
            x0, y0, x1, y1, kind = (float(word) for word in line.replace(",", " ").split())
            if not 1 <= kind <= len(CLASSES):
                problems.add("boxes of a type that is not 1 to 6 were left out", text)
                continue
            labels.append(BoxLabel(CLASSES[int(kind) - 1], (x0, y0, x1, y1)))
        except (ValueError, OverflowError):
            problems.add("lines that are not 'x1 y1 x2 y2 type' were left out", text)
    hw = size_or_none(tree.source(file), file, problems)
    return checked_boxes(labels, hw, text, problems), len(lines)
