"""A mask beside each image: ``a.jpg`` + ``a.png``, or ``a.png`` + ``a_mask.png``.

Where a folder is named for good parts, the folders name the kinds: ``MT_Free/Imgs/``,
``MT_Blowhole/Imgs/``. Else an image with an empty mask is good, any other ``defect``, and a folder
(a part, a sequence) is a group.
"""

from __future__ import annotations

from itertools import takewhile

from triscope.kernel.data.layouts._judging import judged
from triscope.kernel.data.layouts._labels import folder_split
from triscope.kernel.data.layouts.folders import is_good
from triscope.kernel.data.problems import Problems
from triscope.kernel.data.sample import GOOD, Dataset, Sample
from triscope.kernel.data.tree import Tree, stem_of, suffix_of

ENDINGS = ("_mask", "_label", "_gt", "_seg", "-mask", ".mask")
PHOTOS, MASKS = {".jpg", ".jpeg"}, {".png", ".bmp", ".tif", ".tiff", ".pgm"}
PLAIN = {"imgs", "images", "img", "image", "data"}


def recognise(tree: Tree) -> bool:
    """Most images have their mask beside them."""
    images = tree.images()
    return bool(images) and 3 * len(_pairs(tree)) > len(images)


def read(tree: Tree) -> Dataset:
    """One sample an image that is no mask."""
    problems = Problems()
    pairs = _pairs(tree)
    masks = set(pairs.values())
    images = [file for file in tree.images() if file not in masks]
    kinds = _kinds(images)
    samples = []
    for file in images:
        kind = kinds.get(file)
        label = None if kind is None else GOOD if is_good(kind) else kind
        mask = tree.source(pairs[file]) if file in pairs else None
        if mask is None and label != GOOD:
            problems.add("images have no mask", file)
        group = None if kinds else _kind_folder(file)
        split = folder_split(file)
        samples.append(Sample(tree.source(file), file, label, mask=mask, split=split, group=group))
    found = judged(samples, problems)
    classes = sorted({s.label for s in found if s.label and not s.good})
    return Dataset(tuple(found), tree.root, "pairs", tuple(classes), problems.told())


def _pairs(tree: Tree) -> dict[str, str]:
    """The mask of each image that has one."""
    files: dict[tuple[str, str], list[str]] = {}
    for file in tree.images():
        files.setdefault((_folder(file), stem_of(file).lower()), []).append(file)
    pairs: dict[str, str] = {}
    for (folder, stem), same in files.items():
        marked = [m for end in ENDINGS for m in files.get((folder, stem + end), ())]
        photos = [file for file in same if suffix_of(file) in PHOTOS]
        beside = [file for file in same if suffix_of(file) in MASKS] if photos else []
        image = photos[0] if photos else same[0]
        if mask := next(iter(marked or beside), None):
            pairs[image] = mask
    return pairs


def _folder(file: str) -> str:
    return file.rsplit("/", 1)[0] if "/" in file else ""


def _kinds(images: list[str]) -> dict[str, str]:
    """The folder that names the kind of each image; empty where none is named for good parts."""
    names = {file: _kind_folder(file) for file in images}
    found = sorted({name for name in names.values() if name})
    if any(is_good(name) for name in found):
        return {file: name for file, name in names.items() if name}
    cut = _common(found)
    if any(is_good(name[cut:]) for name in found):
        return {file: name[cut:] for file, name in names.items() if name}
    return {}


def _kind_folder(file: str) -> str | None:
    for part in reversed(file.split("/")[:-1]):
        if part.lower() not in PLAIN and folder_split(part + "/") is None:
            return part
    return None


def _common(names: list[str]) -> int:
    """Length of the part up to ``_`` that all names begin with: 3 for ``MT_Free``, ``MT_Fray``."""
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in same).rfind("_") + 1
