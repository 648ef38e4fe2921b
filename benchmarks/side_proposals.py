"""Proposals that are not learned, by OpenCV's contributed modules: ``side_proposals WAY OUT``.

WAY is ``edges`` (Edge Boxes, on edges by Canny: its trained edge detector needs a file)
or ``search`` (Selective Search, its fast form). The package ``opencv-contrib-python-headless`` must
be first on the path; it stands beside ours, never in our environment:

``pip install --no-deps --target .bench/contrib opencv-contrib-python-headless``

Writes boxes (xyxy, the best first) of every ``STEP``-th test image of NEU-DET into OUT (.npz).
"""

from __future__ import annotations

import sys
import time
from typing import Any

import cv2
import numpy as np

from benchmarks.data import DATA

MOST = 500
STEP = 3  # of the test images one is taken
CANNY = (50, 150)  # thresholds of the gradient, as usual


def main(way: str, out: str) -> None:
    """Propose on the images and keep the boxes."""
    cv2.setNumThreads(1)
    names = (DATA / "neu_det" / "test.txt").read_text().split()
    found: dict[str, Any] = {}
    start = time.process_time()
    for name in names[::STEP]:
        image = cv2.imread(str(DATA / "neu_det" / "IMAGES" / f"{name}.jpg"))
        boxes = np.asarray(WAYS[way](image), np.float64).reshape(-1, 4)[:MOST]
        found[name] = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)
    each = 1000 * (time.process_time() - start) / len(found)
    np.savez(out, milliseconds=each, **found)


def edges(image: Any) -> Any:
    """Edge Boxes (Zitnick, Dollar 2014); edges one pixel wide, as theirs are after suppression."""
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32), (0, 0), 1.5)
    x, y = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    thin = cv2.Canny(x.astype(np.int16), y.astype(np.int16), *CANNY) > 0
    strength = np.hypot(x, y) * thin
    strength = np.ascontiguousarray(strength / max(float(strength.max()), 1e-6), np.float32)
    turned = np.mod(np.arctan2(y, x) + np.pi / 2, np.pi).astype(np.float32)
    boxer = cv2.ximgproc.createEdgeBoxes()
    boxer.setMaxBoxes(MOST)
    boxer.setMinScore(0.0)
    found = boxer.getBoundingBoxes(strength, turned)
    return found[0] if isinstance(found, tuple) else found


def search(image: Any) -> Any:
    """Selective Search (Uijlings et al. 2013)."""
    segmenter = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    segmenter.setBaseImage(image)
    segmenter.switchToSelectiveSearchFast()
    return segmenter.process()


WAYS = {"edges": edges, "search": search}

if __name__ == "__main__":
    main(*sys.argv[1:])
