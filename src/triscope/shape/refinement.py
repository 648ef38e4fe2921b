"""Variational refinement of a depth map: photo-consistency and bilateral smoothness.

R-MVSNet, section 3.5 and its supplement: the energy is the sum over the sources of 1 - ZNCC between
the reference and the source warped by the depth, plus w(p, p') (D(p) - D(p'))^2 over neighbours
with w = exp(-(I(p) - I(p'))^2 / 10); 20 steps of descent, each 0.9 times as long as the last, and
all images are warped anew in each. The depth stays near the planes that won.

Two things differ from the letter of the paper. Depth is counted in planes, so that no number hangs
on the unit of the scene; and a step is divided by the curvature of the energy at its pixel, since
the published length (10) belongs to millimetres and a scale of the terms that is not published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.kernel.config import require
from triscope.kernel.results import Depth
from triscope.shape.warp import Warp, warp_of

Floats = NDArray[np.float32]
DIFFERENCE = 0.25  # planes on either side at which the derivative is taken
SPREAD = 10.0  # of the bilateral weight, in squared grey values
FLOOR = 1.5**2  # variance of grey values below which a window has no texture


@dataclass(frozen=True)
class Settings:
    """The numbers of the supplement, and the weight of the smoothness, which it leaves open."""

    steps: int = 20  # steps of descent
    decay: float = 0.9  # how much shorter each step is than the last
    window: int = 7  # side of the compared windows, in pixels of the image
    smooth: float = 0.02  # weight of the smoothness against the photo-consistency
    reach: float = 1.5  # planes that the depth may leave its start by

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        require(
            self,
            steps=(self.steps >= 1, "1 or more"),
            decay=(0 < self.decay <= 1, "a number in (0, 1]"),
            window=(self.window >= 3 and self.window % 2 == 1, "an odd number of 3 or more"),
            smooth=(self.smooth >= 0, "0 or more"),
            reach=(self.reach > 0, "a number above 0"),
        )


def refined(
    depth: Depth,
    greys: Sequence[NDArray[Any]],
    K: Any,
    cam_T_world: Any,
    depths: NDArray[np.float64],
    settings: Settings = Settings(),
) -> Depth:
    """The depth of the first view, refined; ``greys`` (h, w) and ``K`` are those of the images."""
    step = (1 / depths[0] - 1 / depths[-1]) / (len(depths) - 1)  # of 1/depth, a plane
    known = depth.values > 0
    if not known.any():
        return depth
    start = np.where(known, 1 / np.maximum(depth.values, 1e-12), 1 / depths[-1]) / step
    photo = _Photo(greys, warp_of(K, cam_T_world), start.shape, step, settings.window)
    smooth = _Smooth(photo.small, known)
    place, length = start.astype(np.float32), np.float32(1.0)
    low, high = place - np.float32(settings.reach), place + np.float32(settings.reach)
    for _ in range(settings.steps):
        slope, bend = photo.slope(place)
        pull, weight = smooth(place)
        total = bend + settings.smooth * weight
        move = (slope + settings.smooth * pull) / np.maximum(total, 1e-6)
        place = np.clip(place - length * np.clip(move, -1, 1), low, high)
        length *= np.float32(settings.decay)
    values = np.where(known, 1 / (np.maximum(place, 1e-9) * step), 0)
    return replace(depth, values=values.astype(np.float32))


class _Photo:
    """1 - ZNCC of windows of the images at a map of inverse depths, averaged over the sources."""

    def __init__(
        self,
        greys: Sequence[NDArray[Any]],
        warp: Warp,
        size: tuple[int, ...],
        step: float,
        window: int,
    ) -> None:
        self.images = [np.asarray(grey, np.float32) for grey in greys]
        self.size, self.step, self.window = (size[0], size[1]), np.float32(step), window
        h, w = self.images[0].shape
        y, x = np.mgrid[:h, :w].astype(np.float32)
        rays = np.stack([x, y, np.ones_like(x)])
        self.rays = [np.tensordot(turn.astype(np.float32), rays, 1) for turn in warp.turn]
        self.shift = warp.shift.astype(np.float32)
        self.mean = self._box(self.images[0])
        self.spread = self._box(self.images[0] ** 2) - self.mean**2
        small = cv2.resize(self.images[0], self.size[::-1], interpolation=cv2.INTER_AREA)
        self.small = np.asarray(small, np.float32)

    def slope(self, place: Floats) -> tuple[Floats, Floats]:
        """First derivative by the plane, and the second where it is positive (else the first)."""
        before, here, after = (self.cost(place + d) for d in (-DIFFERENCE, 0.0, DIFFERENCE))
        first = (after - before) / (2 * DIFFERENCE)
        second = (after - 2 * here + before) / DIFFERENCE**2
        return first, np.maximum(second, np.abs(first))

    def cost(self, place: Floats) -> Floats:
        """The cost (h, w) at the size of the depth map."""
        h, w = self.images[0].shape
        inverse = cv2.resize(place, (w, h), interpolation=cv2.INTER_LINEAR) * self.step
        total = np.zeros((h, w), np.float32)
        for image, rays, shift in zip(self.images[1:], self.rays, self.shift, strict=True):
            total += self._one(image, rays + shift[:, None, None] * inverse)
        mean = total / max(1, len(self.images) - 1)
        return np.asarray(cv2.resize(mean, self.size[::-1], interpolation=cv2.INTER_AREA))

    def _one(self, image: Floats, p: Floats) -> Floats:
        """One source: 1 - ZNCC; 1 where it sees nothing, so that nothing pulls there."""
        front = p[2] > 1e-9
        z = np.where(front, p[2], 1)
        u, v = p[0] / z, p[1] / z
        inside = front & (u >= 0) & (v >= 0) & (u <= image.shape[1] - 1) & (v <= image.shape[0] - 1)
        moved = cv2.remap(image, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        seen = np.asarray(moved, np.float32)
        mean = self._box(seen)
        spread = self._box(seen * seen) - mean**2
        both = self._box(self.images[0] * seen) - self.mean * mean
        zncc = both / np.sqrt(np.maximum(self.spread, FLOOR) * np.maximum(spread, FLOOR))
        return np.where(inside, 1 - zncc, np.float32(1))

    def _box(self, x: Floats) -> Floats:
        side = (self.window, self.window)
        return np.asarray(cv2.boxFilter(x, -1, side, borderType=cv2.BORDER_REFLECT_101))


class _Smooth:
    """The gradient of the smoothness by each pixel, and its curvature."""

    def __init__(self, grey: Floats, known: NDArray[np.bool_]) -> None:
        def weight(axis: int) -> Floats:
            gap = np.diff(grey, axis=axis)
            both = known[1:] & known[:-1] if axis == 0 else known[:, 1:] & known[:, :-1]
            return np.asarray(np.exp(-(gap**2) / SPREAD) * both, np.float32)

        self.down, self.right = weight(0), weight(1)

    def __call__(self, place: Floats) -> tuple[Floats, Floats]:
        pull, weight = np.zeros_like(place), np.zeros_like(place)
        down, right = self.down * np.diff(place, axis=0), self.right * np.diff(place, axis=1)
        pull[:-1] -= down
        pull[1:] += down
        pull[:, :-1] -= right
        pull[:, 1:] += right
        for rows, one in ((np.s_[:-1], self.down), (np.s_[1:], self.down)):
            weight[rows] += one
        for columns, one in ((np.s_[:, :-1], self.right), (np.s_[:, 1:], self.right)):
            weight[columns] += one
        return 4 * pull, 4 * weight  # each pair is counted from both sides
