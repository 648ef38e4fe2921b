"""Where a part looks unlike the good ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Heatmap:
    """Raw anomaly values: larger is more anomalous.

    ``values`` is float32 (h, w) at the resolution of the model; it spans the whole capture, whose
    size ``image_size`` (h, w) may differ. ``score`` is the raw score of the image.
    """

    values: NDArray[np.float32]
    score: float
    image_size: tuple[int, int]

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.dtype != np.float32:
            raise ValueError(
                f"a heat map is float32 (h, w), got {self.values.dtype} {self.values.shape}"
            )
        self.values.setflags(write=False)

    def at_image_size(self) -> NDArray[np.float32]:
        """The map resized bilinearly to the capture, float32 (h, w)."""
        import cv2

        h, w = self.image_size
        if self.values.shape == (h, w):
            return self.values
        return np.asarray(cv2.resize(self.values, (w, h), interpolation=cv2.INTER_LINEAR))
