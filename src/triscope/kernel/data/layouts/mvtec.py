"""MVTec layout: ``train/good``, ``test/<type>``, ``ground_truth/<type>/*_mask.png``.

``validation/good`` (or ``calibrate/good``), where there is one, is held out for calibration.
"""

from __future__ import annotations

from triscope.errors import DataError
from triscope.kernel.data.sample import GOOD, Dataset, Sample, Split
from triscope.kernel.data.tree import Tree, stem_of

SPLITS: dict[str, Split] = {
    "train": "train",
    "validation": "calibrate",
    "calibrate": "calibrate",
    "test": "test",
}
TRUTH = "ground_truth"


def recognise(tree: Tree) -> bool:
    """``train/good`` or ``test`` + ``ground_truth`` is here, or the former one folder down."""
    return _is_set(tree) or bool(_categories(tree))


def _is_set(tree: Tree) -> bool:
    return "train/good" in tree.folders or {"test", TRUTH} <= tree.folders


def read(tree: Tree) -> Dataset:
    """One sample an image; masks are found by the name of the image."""
    if not _is_set(tree) and _categories(tree):
        found = _categories(tree)
        raise DataError(
            f"{tree.root} holds {len(found)} sets in the MVTec layout: {', '.join(found[:20])}. "
            f"Give one of them, such as {tree.source(found[0])}."
        )
    masks = {_mask_key(file): file for file in tree.images(TRUTH)}
    samples: list[Sample] = []
    problems: list[str] = []
    for folder, split in SPLITS.items():
        for file in tree.images(folder):
            parts = file.split("/")
            if len(parts) < 3:
                problems.append(f"{file}: left out, it is in no folder of a type below {folder}/")
                continue
            label = parts[1]
            mask = masks.get((label, stem_of(file)))
            if label != GOOD and mask is None and masks:
                problems.append(f"{file}: no mask in {TRUTH}/{label}/")
            samples.append(
                Sample(
                    tree.source(file),
                    file,
                    label,
                    mask=tree.source(mask) if mask and label != GOOD else None,
                    split=split,
                )
            )
    classes = tuple(sorted({s.label for s in samples if s.label and s.label != GOOD}))
    return Dataset(tuple(samples), tree.root, "mvtec", classes, tuple(problems))


def _mask_key(file: str) -> tuple[str, str]:
    """(type, stem of the image) of ``ground_truth/<type>/007_mask.png`` or ``…/007.png``."""
    return file.split("/")[1], stem_of(file).removesuffix("_mask")


def _categories(tree: Tree) -> list[str]:
    return [name for name in tree.children() if f"{name}/train/good" in tree.folders]
