"""A fit of known defects opens each of its files once: for sizes, copies, pixels and hashes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import triscope
from triscope.kernel.data import Dataset, Sample

TINY: dict[str, Any] = {"backbone": "resnet10t", "weights": "random:0", "size": 64, "batch": 2}
DETECTOR: dict[str, Any] = {
    **TINY,
    "width": 8,
    "hidden": 8,
    "anchors": (20.0,),
    "proposals": 5,
    "training": "joint",
    "steps": 6,
    "score_every": 3,
}


def picture(seed: int) -> np.ndarray:
    image = np.random.default_rng(seed).integers(90, 120, (64, 80), np.uint8)
    image[20:40, 10:30] = 230
    return image


def test_a_detector_opens_each_image_once(tmp_path: Path, opened: Counter[str]) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    (tmp_path / "classes.txt").write_text("spot\n")
    for i in range(6):
        cv2.imwrite(str(tmp_path / f"images/{i}.png"), picture(i))
        (tmp_path / f"labels/{i}.txt").write_text("0 0.25 0.46875 0.25 0.3125\n")
    data = triscope.data(tmp_path, "yolo")
    assert {name for name in opened if name.endswith(".png")} == {f"{i}.png" for i in range(6)}
    opened.clear()
    check = triscope.fit("ddn", str(tmp_path), DETECTOR, calibrate=0.34)
    assert check.card.data["train"] + check.card.data["calibrate"] == len(data)
    images = {name: count for name, count in opened.items() if name.endswith(".png")}
    assert images == {f"{i}.png": 1 for i in range(6)}


def test_a_segmenter_opens_each_image_and_mask_once(tmp_path: Path, opened: Counter[str]) -> None:
    samples = []
    for i in range(4):
        image, mask = tmp_path / f"{i}.png", tmp_path / f"{i}_mask.png"
        cv2.imwrite(str(image), picture(i))
        cv2.imwrite(str(mask), np.where(picture(i) > 200, 255, 0).astype(np.uint8))
        samples.append(Sample(str(image), str(i), "dent", mask=str(mask)))
    data = Dataset(tuple(samples), classes=("dent",))
    triscope.fit("unet", data, {**TINY, "steps": 4, "score_every": 2, "warm_up": 0}, calibrate=0.25)
    assert opened == {f"{i}{end}.png": 1 for i in range(4) for end in ("", "_mask")}
