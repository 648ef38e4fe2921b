"""Plain folders: one of good parts (``good``, ``ok``, ``normal``, …), others named by the defect.

``good/ bad/``, ``ok/ scratch/ dent/``, and the same below ``train/``, ``val/`` and ``test/``, where
a folder of good parts may be missing: then all folders are kinds of defects.
"""

from __future__ import annotations

from triscope.kernel.data.sample import GOOD, Dataset, Sample, Split
from triscope.kernel.data.tree import Tree

GOOD_NAMES = {"good", "ok", "normal", "pass", "passed", "free", "defect_free", "no_defect"}
SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "calibrate",
    "valid": "calibrate",
    "validation": "calibrate",
    "calibrate": "calibrate",
    "test": "test",
}


def recognise(tree: Tree) -> bool:
    """A folder of a good name is at the top or below a split; or a split has several folders.

    Several folders at the top may be kinds, or days: that is not for us to guess.
    """
    classes = _classes(tree)
    if any(is_good(name) for _, name in classes):
        return True
    splits = [split for split, _ in classes if split]
    return len(splits) > len(set(splits))


def read(tree: Tree) -> Dataset:
    """One sample an image; the label is the name of its folder."""
    samples = []
    problems = []
    for file in tree.images():
        parts = file.split("/")
        split = SPLITS.get(parts[0].lower()) if len(parts) > 2 else None
        inner = parts[1:] if split else parts
        if len(inner) < 2:
            problems.append(f"{file}: left out, it stands in no folder that names its kind")
            continue
        label = GOOD if is_good(inner[0]) else inner[0]
        samples.append(Sample(tree.source(file), file, label, split=split))
    classes = tuple(sorted({s.label for s in samples if s.label and s.label != GOOD}))
    return Dataset(tuple(samples), tree.root, "folders", classes, tuple(problems))


def is_good(name: str) -> bool:
    """True for ``good``, ``OK``, ``defect-free`` and the like."""
    return name.lower().replace("-", "_").replace(" ", "_") in GOOD_NAMES


def _classes(tree: Tree) -> list[tuple[str, str]]:
    """(split folder or "", class folder) of all class folders."""
    found: list[tuple[str, str]] = []
    for name in tree.children():
        if name.lower() in SPLITS:
            found.extend((name, inner) for inner in tree.children(name))
        else:
            found.append(("", name))
    return found
