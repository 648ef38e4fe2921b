"""Photos of one scene as different cameras take them, and mirrored scenes: for training only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0])
SHAKEN = 0.25  # pixels of a feature map that a pose is off by, standard deviation
MAP = 4  # image to feature map


@dataclass(frozen=True)
class Taking:
    """What all photos of an example share: which way round it is, which colour is which."""

    mirrored: bool
    negative: bool
    channels: NDArray[np.int64]

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Taking:
        """By chance."""
        return cls(bool(rng.random() < 0.5), bool(rng.random() < 0.25), rng.permutation(3))

    def photo(self, image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """One photo (h, w, 3) of it, with an exposure, a focus and a noise of its own."""
        seen = image[:, ::-1] if self.mirrored else image
        x: NDArray[Any] = seen[..., self.channels].astype(np.float32) / 255
        x = 1 - x if self.negative else x
        x = x ** rng.uniform(0.7, 1.4) * rng.uniform(0.75, 1.3) * rng.uniform(0.9, 1.1, 3)
        if rng.random() < 0.4:
            x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.3, 1.2))
        x = 255 * x + rng.uniform(0, 5) * rng.standard_normal(x.shape)
        return np.asarray(np.clip(np.rint(x), 0, 255), np.uint8)

    def scene(
        self, truth: NDArray[np.float32], K: Floats, poses: Floats, width: int
    ) -> tuple[NDArray[np.float32], Floats, Floats]:
        """The truth of the reference, K (n, 3, 3) and cam_T_world (n, 4, 4) of these photos."""
        if not self.mirrored:
            return truth, K, poses
        K = K.copy()
        K[:, 0, 2] = width - 1 - K[:, 0, 2]
        return np.ascontiguousarray(truth[:, ::-1]), K, MIRROR @ poses @ MIRROR


def shaken(K: Floats, poses: Floats, rng: np.random.Generator) -> Floats:
    """Half of the time: poses whose sources are turned by a part of a pixel of the feature map."""
    if rng.random() < 0.5:
        return poses
    poses = poses.copy()
    for i in range(1, len(poses)):
        turn, _ = cv2.Rodrigues(SHAKEN * MAP / K[i, 0, 0] * rng.standard_normal(3))
        poses[i, :3] = turn @ poses[i, :3]
    return poses
