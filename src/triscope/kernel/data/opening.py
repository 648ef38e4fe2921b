"""From whatever the user has to a data set: a folder, a glob, a list, arrays, an address."""

from __future__ import annotations

import difflib
import glob
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from triscope.errors import EmptyData, UsageError
from triscope.kernel.data.layouts import ORDER, layout
from triscope.kernel.data.manifest import ENDINGS, read_manifest
from triscope.kernel.data.problems import Problems
from triscope.kernel.data.sample import Dataset, Sample
from triscope.kernel.data.source import file_system, is_address
from triscope.kernel.data.tree import IMAGES, OTHER_IMAGES, Tree, list_tree, suffix_of


def open_data(source: Any, layout: str | None = None) -> Dataset:
    """A data set from a folder, an archive, a glob, a list, an array or an fsspec address.

    A list may also stand in a file (``.jsonl``, ``.csv``; see ``kernel.data.manifest``).

    The layout of a folder is recognised by its marks; ``layout`` names it where two would fit.
    Raises EmptyData where there is nothing to use.
    """
    if isinstance(source, Dataset):
        return source
    if isinstance(source, np.ndarray):  # (n, h, w, 3) is a batch
        return _from_list(list(source) if source.ndim == 4 else [source])
    if isinstance(source, Sample):
        return _from_list([source])
    if not isinstance(source, str | Path):
        if not isinstance(source, Iterable):
            raise UsageError(
                "data are a folder, a glob, a list of images, an array or an address, "
                f"got {type(source).__name__}."
            )
        return _from_list(source)
    text = str(source)
    if _has_glob(text):
        return _from_glob(text)
    if suffix_of(text.split("::", 1)[0]) in IMAGES:
        return _from_list([source])
    if suffix_of(text) in ENDINGS and not is_address(text):
        return read_manifest(Path(text))
    return read_tree(list_tree(source), layout)


def read_tree(tree: Tree, name: str | None = None) -> Dataset:
    """The data set of a listed folder."""
    chosen = layout(known(name)) if name else _recognised(tree)
    data: Dataset = chosen.read(tree)
    data = replace(data, problems=(*tree.problems, *_not_read(tree), *data.problems))
    if not data.samples:
        told = "; ".join(data.problems[:3])
        raise EmptyData(
            f"{tree.root}: no sample in the layout {data.layout!r}{': ' if told else ''}{told}."
        )
    return data


def _not_read(tree: Tree) -> tuple[str, ...]:
    problems = Problems()
    for file in tree.files:
        if suffix_of(file) in OTHER_IMAGES:
            problems.add(f"pictures are of a format that is not read ({suffix_of(file)})", file)
    return problems.told()


def known(name: str) -> str:
    """The name of a layout, or UsageError with a suggestion."""
    if name in ORDER:
        return name
    close = difflib.get_close_matches(name, ORDER, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise UsageError(f"no layout named {name!r}.{hint} There are: {', '.join(ORDER)}.")


def _recognised(tree: Tree) -> Any:
    for name in ORDER:
        if layout(name).recognise(tree):
            return layout(name)
    kinds = sorted({suffix_of(file) or "none" for file in tree.files})
    found = (
        f"{len(tree.files)} files with the endings {', '.join(kinds[:8])}" if kinds else "no file"
    )
    raise EmptyData(
        f"{tree.root} holds no image: {found if kinds else 'no file'}. Expected images "
        f"({', '.join(sorted(ending.lstrip('.') for ending in IMAGES))})."
    )


def _from_list(sources: Iterable[Any]) -> Dataset:
    samples = tuple(_sample(source, i) for i, source in enumerate(sources))
    if not samples:
        raise EmptyData("the list of images is empty: give at least one.")
    classes = sorted({s.label for s in samples if s.label and not s.good})
    return Dataset(samples, "", "list", tuple(classes))


def _sample(source: Any, number: int) -> Sample:
    if isinstance(source, Sample):
        return source
    if isinstance(source, np.ndarray):
        return Sample(source, f"array {number}")
    if isinstance(source, str | Path):
        return Sample(source, str(source))
    raise UsageError(
        f"item {number} of the list is of type {type(source).__name__}: "
        "expected a path, an address, an array or a Sample."
    )


def _has_glob(text: str) -> bool:
    return any(sign in text for sign in "*?[") and not Path(text).exists()


def _from_glob(pattern: str) -> Dataset:
    if is_address(pattern):
        system, path = file_system(pattern)
        inner, _, outer = pattern.partition("::")
        scheme = inner.split("://", 1)[0]
        tail = f"::{outer}" if outer else ""
        found = [_addressed(name, scheme) + tail for name in system.glob(path)]
    else:
        found = glob.glob(pattern, recursive=True)  # noqa: PTH207 (patterns may be absolute)
    images = sorted(name for name in found if suffix_of(name.split("::", 1)[0]) in IMAGES)
    if not images:
        raise EmptyData(f"{pattern} matches {len(found)} files, none of them an image.")
    return Dataset(tuple(Sample(_typed(name), name) for name in images), pattern, "glob")


def _addressed(name: str, scheme: str) -> str:
    """The address of a name that a file system gave; only local names keep a leading slash."""
    if is_address(name):
        return name
    return f"{scheme}://{name if scheme in ('file', 'local') else name.lstrip('/')}"


def _typed(name: str) -> str | Path:
    return name if is_address(name) else Path(name)
