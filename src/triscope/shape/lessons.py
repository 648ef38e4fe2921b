"""What the committed weights of R-MVSNet learned from: generated scenes, kept on disk.

A scene is four photos of one size with the true depth of each. Batches take some scenes, one
reference of each, two or three of its neighbours, and as many planes for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from triscope.shape.evaluation import truth_at
from triscope.shape.scene import Scene
from triscope.shape.stereo import standardised
from triscope.shape.synth import KINDS, Look, Part, Rig, clutter, heap, make_scene
from triscope.shape.training import SCALE, exposed
from triscope.shape.variety import Taking, shaken
from triscope.shape.warp import planes

VIEWS = 4
APART = 1_000_000  # seeds from here on are for judging only
PARTS = ("images", "K", "poses", "truth")


@dataclass(frozen=True)
class Lessons:
    """Scenes of one size: photos (s, 4, h, w, 3), K, poses, and depth (s, 4, h/4, w/4)."""

    images: NDArray[np.uint8]
    K: NDArray[np.float64]
    poses: NDArray[np.float64]
    truth: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.images)


def lessons(
    folder: Path,
    size: tuple[int, int],
    rooms: int,
    parts: int,
    heaps: int = 0,
    *,
    first: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Lessons:
    """Rooms, parts, heaps of the seeds from ``first`` on; made once, then read from the folder."""
    paths = [folder / f"{part}.npy" for part in PARTS]
    if not all(path.is_file() for path in paths):
        folder.mkdir(parents=True, exist_ok=True)
        found: list[tuple[NDArray[Any], ...]] = []
        makers = [room] * rooms + [part] * parts + [alone] * heaps
        for i, make in enumerate(makers):
            found.append(_arrays(make(first + i, size)))
            if progress is not None:
                progress(i + 1, len(makers))
        for path, values in zip(paths, zip(*found, strict=True), strict=True):
            np.save(path, np.stack(values))
    return Lessons(*(np.load(path, mmap_mode="r") for path in paths))


def room(seed: int, size: tuple[int, int]) -> Scene:
    """A room with patterns."""
    return clutter(seed, VIEWS, size, patterns=True)


def alone(seed: int, size: tuple[int, int]) -> Scene:
    """A heap of things before a plain ground."""
    return heap(seed, VIEWS, size)


def part(seed: int, size: tuple[int, int]) -> Scene:
    """A part of any kind and surface, in a rig of four cameras, near or far."""
    rng = np.random.default_rng([seed, 83])
    rig = Rig(
        views=VIEWS,
        size=size,
        distance=float(rng.uniform(180, 500)),
        angle=float(rng.uniform(8, 28)),
        field=float(rng.uniform(60, 140)),
    )
    look = Look(float(rng.uniform(0.05, 0.6)), float(rng.uniform(0, 0.3)), rng.uniform(0.5, 3),
                seed)  # fmt: skip
    return make_scene(Part(KINDS[seed % len(KINDS)], seed=seed), rig, look)


class Batches:
    """Endless batches, the same for a seed: (images, K, poses, depths, truth), float64 cameras.

    ``images`` (b, n, 3, h, w) are standardised BGR, the reference first; ``depths`` (b, d). With
    ``varied`` each example has two or three sources, planes from near to far that may reach far
    beyond it, and photos as ``variety`` takes them.
    """

    def __init__(
        self,
        found: Lessons,
        batch: int,
        seed: int,
        numbers: Sequence[int] = (32, 48, 64),
        varied: bool = False,
    ) -> None:
        self.found, self.batch, self.seed = found, batch, seed
        self.numbers, self.varied = numbers, varied

    def __call__(self, epoch: int) -> Sequence[Any]:
        """The batches of one walk over all scenes."""
        return _Walk(self, epoch)

    def read(self, scenes: Sequence[int], rng: np.random.Generator) -> tuple[Tensor, ...]:
        """One batch of these scenes."""
        number = int(rng.choice(self.numbers))
        views = int(rng.integers(3, VIEWS + 1)) if self.varied else 3
        example = self._varied if self.varied else self._example
        rows = [example(scene, number, views, rng) for scene in scenes]
        return tuple(torch.from_numpy(np.stack(one)) for one in zip(*rows, strict=True))

    def _example(
        self, scene: int, number: int, count: int, rng: np.random.Generator
    ) -> tuple[NDArray[Any], ...]:
        views = rng.permutation(VIEWS)[:count]
        images = [
            standardised(exposed(np.asarray(self.found.images[scene, v]), rng), bgr=True)
            for v in views
        ]
        truth = np.asarray(self.found.truth[scene, views[0]])
        return (np.stack(images), self.found.K[scene, views], self.found.poses[scene, views],
                drawn_planes(truth, number, rng), truth)  # fmt: skip

    def _varied(
        self, scene: int, number: int, count: int, rng: np.random.Generator
    ) -> tuple[NDArray[Any], ...]:
        views = rng.permutation(VIEWS)[:count]
        if not self.found.truth[scene, views[0]].any():
            views[0] = 0  # a heap may be out of sight of a camera, never of the first
            views[1:] = 1 + rng.permutation(VIEWS - 1)[: count - 1]
        taking = Taking.drawn(rng)
        images = [
            standardised(taking.photo(np.asarray(self.found.images[scene, v]), rng), bgr=True)
            for v in views
        ]
        truth = np.asarray(self.found.truth[scene, views[0]])
        K, poses = self.found.K[scene, views], self.found.poses[scene, views]
        if truth.all():  # rooms: cameras of a hand, not of a rig
            poses = shaken(K, poses, rng)
        depths = drawn_planes(truth, number, rng, beyond=1.0, turned=0.0)
        truth, K, poses = taking.scene(truth, K, poses, images[0].shape[2])
        return np.stack(images), K, poses, depths, truth


class _Walk(Sequence[Any]):
    def __init__(self, of: Batches, epoch: int) -> None:
        self.of, self.epoch = of, epoch
        self.order = np.random.default_rng([of.seed, epoch]).permutation(len(of.found))

    def __len__(self) -> int:
        return len(self.order) // self.of.batch

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        rng = np.random.default_rng([self.of.seed, self.epoch, int(index)])
        size = self.of.batch
        return self.of.read(self.order[index * size : (index + 1) * size].tolist(), rng)


def drawn_planes(
    truth: NDArray[np.float32],
    number: int,
    rng: np.random.Generator,
    beyond: float = 0.5,
    turned: float = 0.5,
) -> NDArray[np.float64]:
    """Planes in 1/depth over what is there and up to ``beyond`` as much on each side.

    A share ``turned`` of them goes from far to near.
    """
    known = truth[truth > 0]
    far, near = 1 / np.quantile(known, [0.99, 0.01])
    span = max(near - far, 0.01 * near)
    room = span * rng.uniform(0.02, beyond, 2)
    depths = planes(1 / (near + room[0]), 1 / max(far - room[1], 0.15 * far), number)
    return depths[::-1].copy() if rng.random() < turned else depths


def _arrays(scene: Scene) -> tuple[NDArray[Any], ...]:
    views = scene.views
    truths = [view.true_depth() for view in views]
    return (
        np.stack([view.read() for view in views]),
        np.stack([view.K for view in views]),
        np.stack([view.cam_T_world for view in views]),
        np.stack([truth_at(t, [side // SCALE for side in t.shape]) for t in truths
                  if t is not None]),
    )  # fmt: skip
