"""A folder of images without labels, at any depth: taken as good parts when a model is fitted."""

from __future__ import annotations

from triscope.kernel.data.sample import Dataset, Sample
from triscope.kernel.data.tree import Tree


def recognise(tree: Tree) -> bool:
    """There is at least one image."""
    return bool(tree.images())


def read(tree: Tree) -> Dataset:
    """One sample an image; no label, no split."""
    samples = tuple(Sample(tree.source(file), file) for file in tree.images())
    return Dataset(samples, tree.root, "images")
