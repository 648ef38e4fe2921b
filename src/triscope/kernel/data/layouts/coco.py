"""COCO JSON: boxes, polygons and run lengths; one file, or one a split."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from triscope.errors import BadLabels
from triscope.kernel.data.layouts._labels import (
    SPLITS,
    checked_boxes,
    folder_split,
    label_of,
    size_or_none,
)
from triscope.kernel.data.problems import Problems
from triscope.kernel.data.sample import BoxLabel, Dataset, MaskSource, Sample, Split
from triscope.kernel.data.tree import Tree, stem_of, suffix_of
from triscope.kernel.geometry import boxes as box_math
from triscope.kernel.geometry.masks import Polygons, Union
from triscope.kernel.geometry.rle import Rle

Row = Mapping[str, Any]


def recognise(tree: Tree) -> bool:
    """There are images, and a JSON file with ``images`` and ``annotations``."""
    return bool(tree.images()) and bool(_files(tree))


def read(tree: Tree) -> Dataset:
    """One sample an image of the JSON files; an image without annotations is good."""
    problems = Problems()
    images = _Images(tree)
    samples: list[Sample] = []
    classes: dict[str, None] = {}
    for file in _files(tree):
        try:
            whole = json.loads(tree.text(file))
        except (ValueError, RecursionError) as error:
            raise BadLabels(f"{tree.source(file)} is not readable JSON: {error}.") from error
        if not isinstance(whole, dict):
            raise BadLabels(f"{tree.source(file)}: expected an object with 'images', got a list.")
        names = _categories(whole, file, problems)
        classes.update(dict.fromkeys(names.values()))
        samples.extend(_samples(whole, file, names, images, problems))
    return Dataset(tuple(samples), tree.root, "coco", tuple(classes), problems.told())


def _files(tree: Tree) -> list[str]:
    found = []
    for file in tree.files:
        if suffix_of(file) == ".json":
            data = tree.bytes(file)
            if b'"images"' in data and b'"annotations"' in data:
                found.append(file)
    return found


class _Images:
    """Files of a tree by their path as JSON files write it: relative to several places."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.by_name: dict[str, list[str]] = {}
        for file in tree.images():
            self.by_name.setdefault(PurePosixPath(file).name, []).append(file)

    def find(self, name: str, beside: str) -> str | None:
        """The image that ends as ``name`` does, near the JSON file; None where it is unclear."""
        name = name.replace("\\", "/").lstrip("./")
        found = self.by_name.get(PurePosixPath(name).name, [])
        exact = [file for file in found if file == name or file.endswith("/" + name)] or found
        if len(exact) < 2:
            return exact[0] if exact else None
        folder, split = str(PurePosixPath(beside).parent), split_of(beside)
        near = [f for f in exact if f.startswith(folder + "/") and folder != "."]
        near = near or [f for f in exact if split and folder_split(f) == split]
        return near[0] if len(near) == 1 else None


def split_of(file: str) -> Split | None:
    """The split that the name of a JSON file or a folder on its way names."""
    words = stem_of(file).lower().replace("-", "_").replace(".", "_").split("_")
    for word in reversed(words):
        if (plain := word.rstrip("0123456789")) in SPLITS:
            return SPLITS[plain]
    return folder_split(file)


def _rows(whole: Row, key: str, file: str, problems: Problems) -> list[Row]:
    rows = whole.get(key)
    if not isinstance(rows, list):
        problems.add(f"JSON files have no list of {key}", file)
        return []
    good: list[Row] = [row for row in rows if isinstance(row, dict)]
    for _ in range(len(rows) - len(good)):
        problems.add(f"entries of {key} are no objects and were left out", file)
    return good


def _categories(whole: Row, file: str, problems: Problems) -> dict[Any, str]:
    names: dict[Any, str] = {}
    for row in _rows(whole, "categories", file, problems):
        key, name = row.get("id"), row.get("name")
        if not isinstance(key, int | str) or not isinstance(name, str) or not name:
            problems.add("categories without id or name were left out", file)
        elif key in names:
            problems.add("categories have the id of another and were left out", f"{file} id {key}")
        else:
            names[key] = name
    return names


def _samples(
    whole: Row, file: str, names: Mapping[Any, str], images: _Images, problems: Problems
) -> Iterable[Sample]:
    per_image: dict[Any, list[Row]] = {}
    for row in _rows(whole, "annotations", file, problems):
        per_image.setdefault(_hashable(row.get("image_id")), []).append(row)
    split = split_of(file)
    for row in _rows(whole, "images", file, problems):
        name, key = row.get("file_name"), _hashable(row.get("id"))
        if not isinstance(name, str) or key is None:
            problems.add("images without id or file_name were left out", file)
            continue
        annotations = per_image.pop(key, [])
        found = images.find(name, file)
        if found is None:
            problems.add("images are named but not there, or not to be told apart", name)
            continue
        yield _sample(images.tree, found, annotations, names, split, problems)
    for key, rows in per_image.items():
        for _ in rows:
            which = "without image_id" if key is None else f"image_id {key}"
            problems.add("annotations belong to no image", f"{file} {which}")


def _sample(
    tree: Tree,
    file: str,
    annotations: list[Row],
    names: Mapping[Any, str],
    split: Split | None,
    problems: Problems,
) -> Sample:
    source = tree.source(file)
    hw = size_or_none(source, file, problems) if annotations else None
    labels = []
    for row in annotations:
        name = names.get(_hashable(row.get("category_id")))
        if name is None:
            problems.add("annotations name a category that is not there", file)
            continue
        mask = _mask(row.get("segmentation"), hw, file, problems)
        box = _box(row.get("bbox"), mask, file, problems)
        if box is not None:
            labels.append(BoxLabel(name, box, mask, bool(row.get("iscrowd"))))
    boxes = checked_boxes(labels, hw, file, problems)
    masks = tuple(box.mask for box in boxes if box.mask is not None)
    whole = Union(masks, hw) if masks and hw else None
    label = label_of(boxes, len(annotations), file, problems)
    return Sample(source, file, label, whole, boxes, split or folder_split(file))


def _box(
    value: Any, mask: MaskSource | None, file: str, problems: Problems
) -> tuple[float, float, float, float] | None:
    if _numbers(value) and len(value) == 4:
        x0, y0, x1, y1 = box_math.from_coco(value)[0].tolist()
        return x0, y0, x1, y1
    if value is None and isinstance(mask, Rle) and mask.box:
        return mask.box
    if value is None and isinstance(mask, Polygons):
        points = np.concatenate(mask.rings) + 0.5
        return (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())
    problems.add("annotations without four numbers as bbox were left out", file)
    return None


def _mask(
    value: Any, hw: tuple[int, int] | None, file: str, problems: Problems
) -> MaskSource | None:
    """Polygons lie on the edges of pixels in COCO, half a pixel from our centres."""
    if not value or hw is None:
        return None
    if isinstance(value, Mapping):
        try:
            rle = Rle.from_coco(value)
        except BadLabels as error:
            problems.add(f"masks were left out ({error})", file)
            return None
        if rle.size != hw:
            problems.add("masks of another size than their image were left out", file)
            return None
        return rle
    rings = [ring for ring in value if _numbers(ring) and len(ring) >= 6 and len(ring) % 2 == 0]
    if isinstance(value, list) and len(rings) == len(value):
        arrays = tuple(np.array(ring, np.float64).reshape(-1, 2) - 0.5 for ring in rings)
        return Polygons(arrays, hw, together=False)
    problems.add("polygons with fewer than 3 points, or that are no numbers, were left out", file)
    return None


def _numbers(values: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(v, int | float) and not isinstance(v, bool) and _finite(v) for v in values
    )


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value) and abs(value) < 1e9
    except OverflowError:
        return False


def _hashable(value: Any) -> Any:
    return value if isinstance(value, int | str) else None
