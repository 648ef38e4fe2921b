"""Depth of all views of a scene, and why a pixel has none."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError
from triscope.kernel.results import Depth
from triscope.shape.scene import Scene, View
from triscope.shape.stereo import Stereo
from triscope.shape.warp import planes

Progress = Callable[[str, int, int | None], None]
KEPT = 24  # prepared views that are kept: each serves several references
REASONS = ("known", "clipped", "textureless", "out of range", "improbable", "seen by one view")
DARK, BRIGHT = 3, 252  # grey values at which a sensor tells nothing
PLANES = 192  # of a view for which nobody says how many
TEXTURE = 2.0  # grey values: least standard deviation of a 7 x 7 window


@dataclass(frozen=True, eq=False)
class Matched:
    """The depth of one view, and what was looked at."""

    number: int
    depth: Depth
    sources: tuple[int, ...]
    depths: NDArray[np.float64]


def match_views(
    scene: Scene,
    model: Stereo,
    *,
    sources: int = 4,
    number_of_planes: int = 0,
    only: Sequence[int] | None = None,
    progress: Progress | None = None,
) -> Iterator[Matched]:
    """Match each view with its best ``sources``; features are computed once an image.

    ``number_of_planes`` 0: as many as the scene names, or 192.

    Raises DataError for a view without sources or without a depth range.
    """
    wanted = [i for i in range(len(scene.views)) if scene.sources.get(i)] if only is None else only
    if not wanted:
        raise DataError(
            "no view has sources: choose them first (triscope shape views, or choose_views)."
        )
    kept = _Kept(scene, model)
    for done, i in enumerate(wanted):
        if progress is not None:
            progress("depth", done, len(wanted))
        others = tuple(j for j, _ in scene.sources.get(i, ()))[:sources]
        depths = depths_of(scene, i, others, number_of_planes)
        views = (i, *others)
        depth = model.match(
            [kept[j] for j in views],
            np.stack([scene.views[j].K for j in views]),
            np.stack([scene.views[j].cam_T_world for j in views]),
            depths,
        )
        yield Matched(i, depth, others, depths)
    if progress is not None:
        progress("depth", len(wanted), len(wanted))


def depths_of(
    scene: Scene, number: int, others: Sequence[int], number_of_planes: int
) -> NDArray[np.float64]:
    """The planes of one view, evenly in 1/depth."""
    name = scene.views[number].name
    if not others:
        raise DataError(f"view {name} shares nothing with another view: it cannot be matched.")
    found = scene.ranges.get(number)
    if found is None:
        raise DataError(
            f"view {name} has no depth range: give --near and --far, or let triscope shape views "
            "find it."
        )
    return planes(found.near, found.far, number_of_planes or found.planes or PLANES)


class _Kept(OrderedDict[int, Any]):
    """Prepared views; the longest unused goes first."""

    def __init__(self, scene: Scene, model: Stereo) -> None:
        super().__init__()
        self.scene, self.model = scene, model

    def __missing__(self, number: int) -> Any:
        if len(self) >= KEPT:
            self.popitem(last=False)
        self[number] = self.model.prepare(self.scene.views[number].read())
        return self[number]

    def __getitem__(self, number: int) -> Any:
        found = super().__getitem__(number)
        if number in self:
            self.move_to_end(number)
        return found


def reasons(
    image: NDArray[np.uint8],
    depth: Depth,
    depths: NDArray[np.float64],
    *,
    probability: float,
    agreed: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:
    """Why each pixel of a depth map counts or not: an index into ``REASONS``, (h, w).

    Clipped and textureless pixels are named as such even where the model guessed a depth that no
    other view confirmed; ``agreed`` says where enough views saw the same.
    """
    h, w = depth.values.shape
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    mean = cv2.boxFilter(grey, -1, (7, 7))
    spread = np.sqrt(np.maximum(cv2.boxFilter(grey * grey, -1, (7, 7)) - mean * mean, 0))
    small = [cv2.resize(x, (w, h), interpolation=cv2.INTER_AREA) for x in (grey, spread)]
    sure = depth.known & (depth.confidence >= probability)
    good = sure if agreed is None else sure & agreed
    step = np.abs(np.diff(depths))
    ends = (np.abs(depth.values - depths[0]) < step[0]) | (
        np.abs(depth.values - depths[-1]) < step[-1]
    )
    why = np.full((h, w), REASONS.index("seen by one view"), np.uint8)
    why[~sure] = REASONS.index("improbable")
    why[depth.known & ends] = REASONS.index("out of range")
    why[small[1] < TEXTURE] = REASONS.index("textureless")
    why[(small[0] < DARK) | (small[0] > BRIGHT)] = REASONS.index("clipped")
    why[good] = REASONS.index("known")
    return why


def shares(why: NDArray[np.uint8]) -> dict[str, float]:
    """The share of each reason."""
    counts = np.bincount(why.reshape(-1), minlength=len(REASONS)) / why.size
    return {name: round(float(share), 4) for name, share in zip(REASONS, counts, strict=True)}


def advice(depth: Depth, found: dict[str, float], view: View) -> str:
    """A sentence on what to do about a bad view; empty where it is fine."""
    if depth.flat > 0.8:
        return (
            f"view {view.name}: {depth.flat:.0%} of the pixels are as probable on every plane: "
            "check the depth range and its unit first, then the poses"
        )
    worst = max((name for name in REASONS[1:]), key=lambda name: found[name])
    if found["known"] < 0.1 and found[worst] > 0.5:
        hints = {
            "clipped": "over- or underexposed: change exposure or light",
            "textureless": "without texture: project a pattern, or light it from the side",
            "out of range": "at the ends of the depth range: widen it",
            "improbable": "improbable everywhere: check poses and depth range",
            "seen by one view": "not confirmed by another view: add views nearby",
        }
        return f"view {view.name}: {found[worst]:.0%} of the pixels are {hints[worst]}"
    return ""
