"""A folder of images and a folder of masks of the same names: ``images/`` + ``masks/``.

Also ``image/`` + ``groundTruth/`` with MATLAB files, as CrackForest has them, and the same below
``train/`` and ``test/``. An image with an empty mask is good, any other ``defect``.
"""

from __future__ import annotations

from triscope.kernel.data.layouts._judging import judged
from triscope.kernel.data.layouts._labels import ByStem, folder_split
from triscope.kernel.data.layouts._mat import MatMask
from triscope.kernel.data.problems import Problems
from triscope.kernel.data.sample import Dataset, MaskSource, Sample
from triscope.kernel.data.tree import IMAGES, Tree, stem_of, suffix_of

IMAGE_FOLDERS = {"images", "image", "imgs", "img", "jpegimages", "input", "inputs"}
MASK_FOLDERS = {
    "masks",
    "mask",
    "labels",
    "label",
    "annotations",
    "groundtruth",
    "ground_truth",
    "gt",
    "truth",
    "segmentation",
    "segmentationclass",
    "target",
    "targets",
}
ENDINGS = ("_mask", "_label", "_gt", "_seg")


def recognise(tree: Tree) -> bool:
    """A folder of images and a folder of masks are there, and some names fit."""
    images, masks = _files(tree)
    stems = {_plain(stem_of(file)) for file in masks}
    return any(stem_of(file) in stems for file in images)


def read(tree: Tree) -> Dataset:
    """One sample an image; one without mask has no label."""
    problems = Problems()
    images, masks = _files(tree)
    by_stem = ByStem(tree, ())
    for file in masks:
        by_stem.found.setdefault(_plain(stem_of(file)), []).append(file)
    used: set[str] = set()
    samples = []
    for file in images:
        mask = by_stem.near(file)
        used.add(mask or "")
        if mask is None:
            problems.add("images have no mask and stay without label", file)
        source = _mask_source(tree, mask) if mask else None
        samples.append(Sample(tree.source(file), file, mask=source, split=folder_split(file)))
    for file in masks:
        if file not in used:
            problems.add("masks belong to no image", file)
    found = judged(samples, problems)
    classes = sorted({s.label for s in found if s.label and not s.good})
    return Dataset(tuple(found), tree.root, "masks", tuple(classes), problems.told())


def _files(tree: Tree) -> tuple[list[str], list[str]]:
    """(images, masks): by the folder nearest to the file that is named for either."""
    images, masks = [], []
    for file in tree.files:
        role = _role(file)
        if role == "image" and suffix_of(file) in IMAGES:
            images.append(file)
        elif role == "mask" and suffix_of(file) in IMAGES | {".mat"}:
            masks.append(file)
    return images, masks


def _role(file: str) -> str:
    for part in reversed(file.lower().split("/")[:-1]):
        if part in IMAGE_FOLDERS:
            return "image"
        if part in MASK_FOLDERS:
            return "mask"
    return ""


def _plain(stem: str) -> str:
    for ending in ENDINGS:
        if stem.lower().endswith(ending):
            return stem[: -len(ending)]
    return stem


def _mask_source(tree: Tree, file: str) -> MaskSource:
    source = tree.source(file)
    return MatMask(source) if suffix_of(file) == ".mat" else source
