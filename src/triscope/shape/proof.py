"""The golden answer of a check of shape: three small views, and what the model says of them.

A sweep is no graph, so the model itself is asked again each time the folder is opened. What is kept
are means over quarters of the maps: a form of the sweep that rounds otherwise may choose another
plane at a pixel in a thousand, and is not refused for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from triscope.kernel.runtime.engine import Arrays
from triscope.shape.stereo import Stereo
from triscope.shape.synth import clutter
from triscope.shape.warp import planes

NAME = "depth"
TOLERANCE = 0.01  # relative to the largest value: forms and processors round differently


class StereoEngine:
    """A stereo model asked as a graph is."""

    def __init__(self, model: Stereo) -> None:
        self.model = model

    def run(self, inputs: Arrays) -> dict[str, Any]:
        """Images (n, h, w, 3), K, poses and planes in; means of 1/depth and confidence out."""
        prepared = [self.model.prepare(image) for image in inputs["images"]]
        depth = self.model.match(
            prepared, inputs["K"], inputs["cam_T_world"], inputs["depths"].astype(np.float64)
        )
        near = np.divide(1, depth.values, out=np.zeros_like(depth.values), where=depth.values > 0)
        return {"inverse_depth": quarters(near), "confidence": quarters(depth.confidence)}


def example() -> dict[str, Any]:
    """The views that the model is asked about."""
    scene = clutter(7, 3, (64, 80))
    ends = scene.ranges[0]
    return {
        "images": np.stack([view.read() for view in scene.views]),
        "K": np.stack([view.K for view in scene.views]),
        "cam_T_world": np.stack([view.cam_T_world for view in scene.views]),
        "depths": planes(ends.near, ends.far, 16),
    }


def quarters(values: Any) -> Any:
    """The means of the four quarters of a map (h, w)."""
    halves = [part for rows in np.array_split(values, 2, 0) for part in np.array_split(rows, 2, 1)]
    return np.array([part.mean(dtype=np.float64) for part in halves], np.float32)
