"""ZNCC plane sweep: needs no training, the honest baseline (doi:10.1109/CVPR.1996.517097).

After Collins, A Space-Sweep Approach to True Multi-Image Matching, CVPR 1996, with windows compared
by zero-mean normalised cross-correlation, the better half of the sources at each pixel against
occlusion, and a parabola between the planes. Depth at the size of the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.kernel.catalogue import model
from triscope.kernel.config import require
from triscope.kernel.results import Depth
from triscope.shape.check import MakesShapeChecks
from triscope.shape.golden import Golden
from triscope.shape.sweep.answer import Swept, depth_between
from triscope.shape.warp import warp_of

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Settings(Golden):
    """How windows are compared."""

    planes: int = 192  # depth planes of a sweep
    window: int = 7  # side of the compared windows, in pixels, odd
    best: float = 0.5  # share of the sources that count at each pixel: the best of them
    noise: float = 1.5  # grey values: standard deviation below which a window has no texture

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        super().__post_init__()
        require(
            self,
            planes=(self.planes >= 3, "3 or more"),
            window=(self.window >= 3 and self.window % 2 == 1, "an odd number of 3 or more"),
            best=(0 < self.best <= 1, "a share in (0, 1]"),
            noise=(self.noise > 0, "a number above 0"),
        )


@model("zncc_sweep", answers="Depth")
class ZnccSweep(MakesShapeChecks):
    """The plane on which the windows of the views look most alike."""

    def __init__(self, settings: Settings = Settings()) -> None:
        self.settings = settings

    def prepare(self, image: NDArray[np.uint8]) -> Floats:
        """Grey values, float32 (h, w)."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
        return np.asarray(grey, np.float32)

    def match(
        self, prepared: Sequence[Any], K: Any, cam_T_world: Any, depths: NDArray[np.float64]
    ) -> Depth:
        """See :class:`triscope.shape.stereo.Stereo`; the confidence is the correlation, from 0."""
        swept = self.sweep(prepared, K, cam_T_world, depths)
        values = depth_between(depths, swept.index, swept.offset())
        known = swept.around[1] > 0  # textureless, or seen by no source
        confidence = np.where(known, swept.around[1], 0).clip(0, 1).astype(np.float32)
        K_reference = np.array(K, np.float64)[0]
        values = np.where(known, values, 0).astype(np.float32)
        return Depth(values, confidence, K_reference, float(1 - known.mean()))

    def sweep(
        self, prepared: Sequence[Any], K: Any, cam_T_world: Any, depths: NDArray[np.float64]
    ) -> Swept:
        """The best plane a pixel and the correlations around it (in place of scores)."""
        warp, reference = warp_of(K, cam_T_world), _Windows(prepared[0], self.settings)
        size = prepared[0].shape
        running = _Best(size)
        for depth in depths:
            scores = []
            for source, turn, shift in zip(prepared[1:], warp.turn, warp.shift, strict=True):
                H = turn * depth
                H[:, 2] += shift
                scores.append(reference.correlation(*_seen(source, H, size)))
            running.add(best_share(scores, self.settings.best))
        return running.answer()


class _Windows:
    """Means and spreads of the windows of the reference, and their correlation with others."""

    def __init__(self, image: Floats, settings: Settings) -> None:
        self.image, self.side = image, (settings.window, settings.window)
        self.floor = np.float32(settings.noise**2)
        self.mean = self._box(image)
        spread = self._squares(image) - self.mean**2
        self.scale = (spread > self.floor) / np.sqrt(np.maximum(spread, self.floor))

    def correlation(self, other: Floats, inside: NDArray[np.bool_]) -> Floats:
        """ZNCC in [-1, 1]; -1 where the source sees nothing, 0 where the reference has no texture.

        Written in place: the passes over memory are what this costs.
        """
        mean, spread = self._box(other), self._squares(other)
        spread -= mean * mean
        np.sqrt(np.maximum(spread, self.floor, out=spread), out=spread)
        score = self._box(self.image * other)
        score -= np.multiply(mean, self.mean, out=mean)
        score *= self.scale
        score /= spread
        np.copyto(score, -1, where=~inside)
        return score

    def _box(self, x: Floats) -> Floats:
        return np.asarray(cv2.boxFilter(x, -1, self.side, borderType=cv2.BORDER_REFLECT_101))

    def _squares(self, x: Floats) -> Floats:
        return self._box(x * x)


class _Best:
    """The best plane so far and the scores around it."""

    def __init__(self, size: Sequence[int]) -> None:
        self.best = np.full(size, -2, np.float32)
        self.before, self.after, self.last = (np.full(size, -np.inf, np.float32) for _ in range(3))
        self.index = np.zeros(size, np.int32)
        self.plane = 0

    def add(self, score: Floats) -> None:
        """One more plane; the first of equal scores wins."""
        follows = self.index == self.plane - 1
        self.after[follows] = score[follows]
        higher = score > self.best
        self.best[higher], self.index[higher] = score[higher], self.plane
        self.before[higher], self.after[higher] = self.last[higher], -np.inf
        self.last, self.plane = score, self.plane + 1

    def answer(self) -> Swept:
        """Plane, score from 0 to 1, and the scores around it."""
        around = np.stack([self.before, self.best, self.after])
        return Swept(self.index, self.best.clip(0, 1), around)


def best_share(scores: Sequence[Floats], share: float) -> Floats:
    """The mean of the best share of the sources at each pixel (at least one)."""
    keep = max(1, round(share * len(scores)))
    best: list[Floats] = []  # from the highest on
    for score in scores:
        for i, higher in enumerate(best):
            best[i] = np.maximum(higher, score)
            score = np.minimum(higher, score)
        best = [*best, score][:keep]
    total = best[0].copy()
    for one in best[1:]:
        total += one
    return np.asarray(total / np.float32(len(best)), np.float32)


def _seen(source: Floats, H: NDArray[np.float64], size: Any) -> tuple[Floats, NDArray[np.bool_]]:
    """The source as the reference would see it, and where it sees anything at all."""
    h, w = size
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpPerspective(source, H, (w, h), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32), _inside(H, source.shape, size)


def _inside(H: NDArray[np.float64], source: Sequence[int], size: Any) -> NDArray[np.bool_]:
    """Which pixels land in the source: in each row all from one column to another.

    The conditions (in front; neither left, above, right, nor below) are linear along a row.
    """
    h, w = size
    lines = np.stack([H[2], H[0], H[1], (source[1] - 1) * H[2] - H[0],
                      (source[0] - 1) * H[2] - H[1]])  # fmt: skip
    slope, rest = lines[:, :1], lines[:, 1:2] * np.arange(h) + lines[:, 2:]
    with np.errstate(divide="ignore", invalid="ignore"):
        edge = -rest / slope
    never = (slope == 0) & (rest < 0)
    first = np.where(slope > 0, edge, np.where(never, np.inf, -np.inf)).max(0)
    last = np.where(slope < 0, edge, np.inf).min(0)
    x = np.arange(w, dtype=np.int32)
    low = np.ceil(first - 1e-6).clip(0, w).astype(np.int32)[:, None]
    high = np.floor(last + 1e-6).clip(-1, w).astype(np.int32)[:, None]
    return np.asarray((x >= low) & (x <= high))
