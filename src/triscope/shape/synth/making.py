"""A calibrated rig around a generated part, and the folder that it writes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from triscope.kernel.config import require
from triscope.kernel.geometry.cameras import pose, project
from triscope.shape.formats.meshes import write_stl
from triscope.shape.formats.mvsnet import write_scene
from triscope.shape.formats.pfm import write_pfm
from triscope.shape.scene import Range, Scene, View
from triscope.shape.synth.parts import Part
from triscope.shape.synth.render import Look, view_of
from triscope.shape.views import choose_views

Floats = NDArray[np.float64]
ROOM = 60.0  # mm about the middle in which views are scored


@dataclass(frozen=True)
class Rig:
    """Cameras in rings above the part, all looking at its middle."""

    views: int = 12  # cameras, two thirds of them in the outer ring
    size: tuple[int, int] = (880, 1200)  # h, w of a photo: about 1 MP
    distance: float = 300.0  # mm from the middle of the part
    angle: float = 24.0  # degrees between the outer ring and the vertical; the inner has half
    field: float = 118.0  # mm that the width of a photo spans at the part

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        require(
            self,
            views=(self.views >= 2, "2 or more"),
            size=(len(self.size) == 2 and min(self.size) >= 16, "two sides of 16 or more"),
            distance=(self.distance > 80, "millimetres beyond the part, above 80"),
            angle=(0 < self.angle < 80, "degrees between 0 and 80"),
            field=(self.field > 0, "a number above 0"),
        )

    def cameras(self) -> tuple[Floats, list[Floats]]:
        """K and the poses cam_T_world."""
        h, w = self.size
        focal = w / self.field * self.distance
        K = np.array([[focal, 0, (w - 1) / 2], [0, focal, (h - 1) / 2], [0, 0, 1.0]])
        outer = max(2, round(self.views * 2 / 3)) if self.views > 3 else self.views
        poses = []
        for i in range(self.views):
            ring, place = (outer, i) if i < outer else (self.views - outer, i - outer)
            tilt = np.radians(self.angle if i < outer else self.angle / 2)
            turn = 2 * np.pi * (place + (0.5 if i >= outer else 0.25)) / ring
            eye = self.distance * np.array(
                [np.sin(tilt) * np.cos(turn), np.sin(tilt) * np.sin(turn), np.cos(tilt)]
            )
            poses.append(looking_down(eye))
        return K, poses


def looking_down(eye: Floats) -> Floats:
    """cam_T_world of a camera at ``eye`` that looks at the origin, its rows along the part."""
    forward = -eye / np.linalg.norm(eye)
    right = np.array([1.0, 0, 0]) - forward[0] * forward
    right /= np.linalg.norm(right)
    turn = np.stack([right, np.cross(forward, right), forward])
    return pose(turn, -turn @ eye)


def make_scene(part: Part, rig: Rig = Rig(), look: Look = Look()) -> Scene:
    """The photos of one part with their truth, sources and depth ranges; millimetres."""
    K, poses = rig.cameras()
    views = [
        view_of(part, f"{i:08d}", K, one, rig.size, Look(**{**asdict(look), "seed": look.seed + i}))
        for i, one in enumerate(poses)
    ]
    chosen = choose_views(
        Scene(tuple(views), unit="mm", layout="synth"),
        near=rig.distance - ROOM,
        far=rig.distance + ROOM,
    )
    return chosen.with_(ranges={i: range_of(part, view) for i, view in enumerate(views)})


def range_of(part: Part, view: View) -> Range:
    """How deep the box around the part lies in a view: the working volume of the rig."""
    low, high = part.bounds()
    corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1])
                        for z in (low[2], high[2])])  # fmt: skip
    _, depth = project(view.K, view.cam_T_world, corners)
    return Range(float(depth.min()) - 1, float(depth.max()) + 1)


def write_part(
    folder: str | Path,
    part: Part,
    rig: Rig = Rig(),
    look: Look = Look(),
    *,
    mesh_step: float = 0.5,
) -> Scene:
    """Write the scene in the layout of MVSNet, with ``depths/*.pfm``, ``part.stl``, ``part.json``.

    ``part.stl`` is the nominal part: what a good one would be.
    """
    folder = Path(folder)
    scene = make_scene(part, rig, look)
    write_scene(folder, scene)
    (folder / "depths").mkdir(exist_ok=True)
    for view in scene.views:
        depth = view.true_depth()
        assert depth is not None
        write_pfm(folder / "depths" / f"{view.name}.pfm", depth)
    write_stl(folder / "part.stl", part.good().mesh(mesh_step))
    truth = {"part": asdict(part), "rig": asdict(rig), "look": asdict(look), "unit": "mm"}
    (folder / "part.json").write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")
    return scene
