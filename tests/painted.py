"""Flat pictures painted into the photos of a scene, where a known place of the world says."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.shape.scene import Scene
from triscope.shape.synth import Look, Part, Rig, make_scene

RIG = Rig(views=4, size=(240, 320), field=160.0)
CORNERS = {"0": (-62.0, -42.0), "3": (62.0, -42.0), "7": (62.0, 42.0), "11": (-58.0, 44.0)}
WIDE = 16.0  # mm: side of a coded target
HIGH = 1.0  # mm: of all of them above the table


def painted(
    scene: Scene, picture: NDArray[np.uint8], middle: tuple[float, float], wide: float
) -> Scene:
    """The scene with a grey picture lying at height HIGH, ``wide`` mm wide, seen from above."""
    rows, columns = picture.shape
    step = wide / columns
    # picture (u, v) -> world (x, y): v runs down, y runs up
    world = np.array([[step, 0, middle[0] - step * (columns - 1) / 2],
                      [0, -step, middle[1] + step * (rows - 1) / 2], [0, 0, 1]])  # fmt: skip
    views = []
    for view in scene.views:
        R, t = view.cam_T_world[:3, :3], view.cam_T_world[:3, 3]
        plane = view.K @ np.column_stack([R[:, 0], R[:, 1], R[:, 2] * HIGH + t])
        size = (view.size[1], view.size[0])
        there = cv2.warpPerspective(picture, plane @ world, size, flags=cv2.INTER_AREA)
        mask = cv2.warpPerspective(np.ones_like(picture, np.float32), plane @ world, size)
        photo = view.read() * (1 - mask[..., None]) + (there * mask)[..., None]
        views.append(replace(view, image=photo.astype(np.uint8)))
    return scene.with_(views=tuple(views))


def with_targets(scene: Scene, kind: str = "4x4_50") -> Scene:
    """Four coded targets about the part, where CORNERS says."""
    known = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f"DICT_{kind.upper()}"))
    for name, middle in CORNERS.items():
        code = cv2.aruco.generateImageMarker(known, int(name), 120)
        picture = cv2.copyMakeBorder(code, 20, 20, 20, 20, cv2.BORDER_CONSTANT, value=255)
        scene = painted(scene, np.asarray(picture, np.uint8), middle, WIDE * 160 / 120)
    return scene


def truth() -> dict[str, NDArray[np.float64]]:
    """Where the targets lie."""
    return {name: np.array([x, y, HIGH]) for name, (x, y) in CORNERS.items()}


def chessboard(columns: int, rows: int, wide: int = 40) -> NDArray[np.uint8]:
    """A board with so many inner corners and a white rim of one square."""
    cells = np.indices((rows + 1, columns + 1)).sum(0) % 2
    board = np.kron(cells, np.ones((wide, wide))) * 255
    return np.pad(board, wide, constant_values=255).astype(np.uint8)


def moved(scene: Scene, world_T_new: NDArray[np.float64]) -> Scene:
    """The same photos, with cameras told in another frame."""
    views = [replace(v, cam_T_world=v.cam_T_world @ world_T_new) for v in scene.views]
    return scene.with_(views=tuple(views))


@cache
def marked(defect: str = "", seed: int = 0) -> Scene:
    part = Part("drilled", defect, 2.0) if defect else Part("drilled")
    return with_targets(make_scene(part, RIG, Look(seed=seed)))


def turned() -> NDArray[np.float64]:
    """A frame a third of a turn and 200 mm away: no fit from where the scan lies finds back."""
    c, s = np.cos(2.0), np.sin(2.0)
    pose = np.eye(4)
    pose[:3, :3] = [[c, -s, 0], [s, c, 0], [0, 0, 1]]
    pose[:3, 3] = [200.0, -50, 30]
    return pose
