"""A small part, its true depth, and a dented block, for several tests of the shape domain."""

from __future__ import annotations

from functools import cache

import numpy as np

from triscope.kernel.results import Depth
from triscope.shape import fusion
from triscope.shape.distance import Distance
from triscope.shape.scene import Scene
from triscope.shape.surface import Cloud, Mesh
from triscope.shape.synth import Part, Rig, make_scene

RIG = Rig(views=4, size=(96, 128))


@cache
def good() -> Scene:
    return make_scene(Part("drilled"), RIG)


def true_views(scene: Scene) -> list[fusion.Seen | None]:
    """The true depth as if a model had answered it."""
    found: list[fusion.Seen | None] = []
    for view in scene.views:
        depth = view.true_depth()
        assert depth is not None
        sure = (depth > 0).astype(np.float32)
        found.append(fusion.Seen(Depth(depth, sure, view.K), view.cam_T_world, view.read()))
    return found


def sources_of(scene: Scene) -> dict[int, list[int]]:
    return {i: [j for j, _ in found] for i, found in scene.sources.items()}


def dented_cloud(depth: float) -> Cloud:
    """Points on the upper face of the plate, pressed in over 6 mm."""
    grid = np.stack(np.meshgrid(np.arange(-45, 45, 0.4), np.arange(-25, 25, 0.4)), -1).reshape(
        -1, 2
    )
    away = np.hypot(*(grid - [20, 0]).T)
    z = 30.0 - depth * (away < 3)
    noise = 0.02 * np.random.default_rng(0).standard_normal(len(grid))
    return Cloud(np.column_stack([grid, z + noise]))


def block() -> Mesh:
    values = np.array([[x, y, z] for x in (-50.0, 50) for y in (-30.0, 30) for z in (0.0, 30)])
    faces = [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6],
             [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]]  # fmt: skip
    return Mesh(values, np.array(faces))


@cache
def block_distance() -> Distance:
    return Distance(block())


@cache
def drilled_distance() -> Distance:
    return Distance(Part("drilled").mesh(2.0))
