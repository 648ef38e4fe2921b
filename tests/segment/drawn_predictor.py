"""A predictor that needs no network: a box is filled, a point becomes discs of three sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.segment.answers import Prompted
from triscope.segment.prompts import Prompts

RADII = (6.0, 12.0, 24.0)


class DrawnPredictor(Prompted):
    """Logits at the resolution of the square; the middle disc is said to be the best."""

    def __init__(self, side: int = 64) -> None:
        self.side = self.mask_size = side
        self.fingerprint = "drawn"

    def _embed(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.zeros((len(pixels), 1, 1, 1), np.float32)

    def _decode(self, embedding: NDArray[np.float32], prompts: Prompts) -> tuple[Any, Any]:
        rows, columns = np.mgrid[0 : self.side, 0 : self.side].astype(np.float32)
        logits = np.full((len(prompts), 4, self.side, self.side), -10, np.float32)
        for i in range(len(prompts)):
            if prompts.boxes is not None:
                x0, y0, x1, y1 = prompts.boxes[i]
                inside = (columns >= x0) & (columns < x1) & (rows >= y0) & (rows < y1)
                logits[i, :, inside] = 10
            elif prompts.points is not None and prompts.labels is not None:
                x, y = prompts.points[i, 0]
                away = np.hypot(columns - x, rows - y)
                for k, radius in enumerate((RADII[1], *RADII)):
                    logits[i, k] = radius - away
        iou = np.tile(np.array([0.8, 0.5, 0.9, 0.7], np.float32), (len(prompts), 1))
        return logits, iou
