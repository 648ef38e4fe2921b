"""What a check of shape found, in the pixels of a photo of the scan: for those who look at it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from triscope.kernel.geometry.cameras import invert, project
from triscope.kernel.results import Finding, Heatmap
from triscope.shape.scene import Scene
from triscope.shape.units import in_mm

Floats = NDArray[np.float64]
COARSE = 4  # pixels of the photo along one of the heat map
BEHIND = 0.01  # of the depth: what lies farther behind the nearest point of a pixel is hidden


@dataclass(frozen=True, eq=False)
class Photo:
    """The camera of one photo, before the reference: K (3, 3), cam_T_reference (4, 4) in mm."""

    K: Floats
    cam_T_reference: Floats
    size: tuple[int, int]

    @classmethod
    def first_of(cls, scene: Scene, reference_T_scan: Floats) -> Photo:
        """The first photo of a scan that lies so on the reference."""
        view = scene.views[0]
        cam_T_scan = view.cam_T_world.copy()
        cam_T_scan[:3, 3] = in_mm(cam_T_scan[:3, 3], scene.unit)
        return cls(view.K, cam_T_scan @ invert(reference_T_scan), view.size)

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """Pixels (n, 2) of points (n, 3) of the reference, nan behind the camera; depths (n,)."""
        return project(self.K, self.cam_T_reference, points)

    def heat(self, points: Floats, values: Floats, score: float) -> Heatmap:
        """The largest value (n,) >= 0 of what is not hidden in each pixel of a coarse map."""
        size = (-(-self.size[0] // COARSE), -(-self.size[1] // COARSE))
        at, depth = self.project(points)
        column, row = np.floor((at + 0.5) / COARSE).T
        inside = (column >= 0) & (column < size[1]) & (row >= 0) & (row < size[0])
        cell = (row * size[1] + column)[inside].astype(np.int64)
        nearest = np.full(size[0] * size[1], np.inf)
        np.minimum.at(nearest, cell, depth[inside])
        front = depth[inside] <= (1 + BEHIND) * nearest[cell]
        values_of = np.zeros(size[0] * size[1], np.float32)
        np.maximum.at(values_of, cell[front], values[inside][front].astype(np.float32))
        return Heatmap(values_of.reshape(size), score, self.size)

    def boxed(self, finding: Finding) -> Finding:
        """The finding with its box in the photo; as it is where the photo does not show it."""
        measures = finding.measures
        centre = np.array([measures[f"{axis}_mm"] for axis in "xyz"])
        reach = np.array([measures[f"size_{axis}_mm"] for axis in "xyz"]) / 2
        corners = centre + reach * np.stack(np.meshgrid(*[(-1, 1)] * 3), -1).reshape(-1, 3)
        at, _ = self.project(corners)
        h, w = self.size
        low, high = np.clip(at.min(0), 0, (w, h)), np.clip(at.max(0) + 1, 0, (w, h))
        if not (low < high).all():  # beside the photo, or nan
            return finding
        return replace(finding, box=(*map(float, low), *map(float, high)))  # type: ignore[arg-type]
