"""Where the real data are, and the lists of files that both sides of a comparison read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("TRISCOPE_DATA", ROOT.parent / "shared" / "data"))
TIMED = 83  # test images at most that a timing walks through
MOBILENET = DATA / "weights" / "mobilenetv2_100_tf_imagenet.safetensors"


@dataclass(frozen=True)
class Item:
    """An image, its defect type or "good", and its mask where there is one."""

    image: str
    label: str
    mask: str | None = None


def items(name: str, part: str) -> list[Item]:
    """Training (good only) or test images of ``mvtec_bottle``, ``hazelnut_toy``, ``magnetic_tile``.

    Of the magnetic tiles every third free one is a test image, the rest are for training.
    """
    if not (DATA / name).is_dir():
        raise SystemExit(
            f"{DATA / name} is not there: set TRISCOPE_DATA to the folder of the data."
        )
    if name == "magnetic_tile":
        return _tiles(part)
    root = DATA / name
    if part == "train":
        return [Item(str(path), "good") for path in _images(root / "train" / "good")]
    return [
        Item(str(path), folder.name, _mask(root, folder.name, path))
        for folder in sorted((root / "test").iterdir())
        if folder.is_dir()
        for path in _images(folder)
    ]


def _tiles(part: str) -> list[Item]:
    root = DATA / "magnetic_tile"
    free = _images(root / "MT_Free" / "Imgs", suffix=".jpg")
    if part == "train":
        return [Item(str(path), "good") for i, path in enumerate(free) if i % 3]
    good = [Item(str(path), "good") for i, path in enumerate(free) if i % 3 == 0]
    bad = [
        Item(str(path), kind, str(path.with_suffix(".png")))
        for kind in ("Blowhole", "Fray", "Uneven")
        for path in _images(root / f"MT_{kind}" / "Imgs", suffix=".jpg")
    ]
    return good + bad


def _images(folder: Path, suffix: str = "") -> list[Path]:
    kinds = (suffix,) if suffix else (".png", ".jpg", ".jpeg")
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in kinds)


def _mask(root: Path, label: str, image: Path) -> str | None:
    folder = root / "ground_truth" / label
    if label == "good" or not folder.is_dir():
        return None
    found = [folder / f"{image.stem}{end}" for end in ("_mask.png", ".png", "_mask.jpg", ".jpg")]
    return next((str(path) for path in found if path.is_file()), None)


def read_mask(item: Item) -> NDArray[np.bool_] | None:
    """The mask of an item, bool (h, w)."""
    if item.mask is None:
        return None
    return np.asarray(cv2.imread(item.mask, cv2.IMREAD_GRAYSCALE) > 128)


def difference_maps(size: int = 448) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    """Heat maps of a plain detector on ``mvtec_bottle``: how far from the mean good picture.

    They need no model, and look like those of one: smooth, with the defects brighter.
    """
    train = np.stack([_grey(item, size) for item in items("mvtec_bottle", "train")[::4]])
    mean, spread = train.mean(axis=0), train.std(axis=0) + 4
    for item in items("mvtec_bottle", "test"):
        away = np.abs(_grey(item, size) - mean) / spread
        mask = read_mask(item)
        if mask is None:
            mask = np.zeros((size, size), dtype=bool)
        elif mask.shape != (size, size):
            grown = cv2.resize(mask.astype(np.uint8), (size, size), interpolation=0)
            mask = np.asarray(grown > 0)
        yield np.asarray(cv2.GaussianBlur(away, (0, 0), 4), dtype=np.float32), mask


def _grey(item: Item, size: int) -> NDArray[np.float32]:
    grey = cv2.imread(item.image, cv2.IMREAD_GRAYSCALE)
    if grey is None:
        raise SystemExit(f"{item.image} cannot be read.")
    return np.asarray(cv2.resize(grey, (size, size)), dtype=np.float32)
