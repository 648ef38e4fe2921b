"""Layouts of folders, one a file, recognised by their own marks.

Each file offers ``recognise(tree) -> bool`` and ``read(tree) -> Dataset``. They are asked in the
order of :data:`ORDER`: marks that only one layout has come first, plain folders last.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

ORDER = ("mvtec", "deeppcb", "voc", "coco", "yolo", "masks", "pairs", "folders", "images")


def layout(name: str) -> ModuleType:
    """The module of one layout."""
    return import_module(f"{__name__}.{name}")
