"""Scans of a check of shape: where they lie, how they become clouds, what they are compared with.

What good scans teach is in ``shape.habits``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from triscope.errors import DataError, EmptyData
from triscope.kernel.config import require
from triscope.kernel.data import Dataset, Sample
from triscope.shape import comparison
from triscope.shape.alignment import How
from triscope.shape.comparison import Comparison
from triscope.shape.distance import Distance
from triscope.shape.formats.meshes import read_mesh
from triscope.shape.formats.opening import is_scene, open_scene
from triscope.shape.fusion import Seen, fuse
from triscope.shape.markers import Markers, Targets, in_common, read_places, targets_mm
from triscope.shape.matching import match_views
from triscope.shape.scene import Scene
from triscope.shape.stages import fusion_settings_of
from triscope.shape.stereo import Stereo
from triscope.shape.surface import Cloud, Mesh
from triscope.shape.tsdf import tsdf_mesh
from triscope.shape.units import in_mm
from triscope.shape.views import choose_views

MARKERS = "markers.txt"
NAMES = ("part.stl", "part.ply", "part.obj", "reference.stl", "reference.ply", "reference.obj")


@dataclass(frozen=True)
class Golden:
    """Settings that every stereo model shares when it becomes a check."""

    sources: int = 4  # views that each view is matched with
    agree: int = 3  # views that must agree on a point
    relative: float = 0.003  # most relative difference of depth between views
    cell: float = 1.5  # mm: side of the cells that are judged
    points: int = 6  # least number of points of a cell
    area: float = 4.0  # mm2: a deviation of less area is no finding
    how: How = "nearby"  # how a scan is aligned: placed, markers, nearby, shape
    targets: Targets = "4x4_50"  # kind of the coded targets in the photos, where markers align
    voxel: float = 0.5  # mm: voxels of the golden surface, where no CAD file is there

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        require(
            self,
            sources=(self.sources >= 1, "1 or more"),
            agree=(self.agree >= 2, "2 or more"),
            relative=(self.relative > 0, "a number above 0"),
            cell=(self.cell > 0, "millimetres above 0"),
            points=(self.points >= 1, "1 or more"),
            area=(self.area >= 0, "0 or more"),
            voxel=(self.voxel > 0, "millimetres above 0"),
        )


def scans_of(source: Any) -> Dataset:
    """The scans under a folder: every scene in it, labelled by the folder above it.

    ``part/good/01``, ``part/bent/01`` ... or scans right under ``part``, which nobody labelled; a
    folder called ``train``, ``calibrate`` or ``test`` above names the split.
    """
    root = Path(str(source))
    if not root.is_dir():
        raise DataError(f"{source} is not a folder: a check of shape learns from folders of scans.")
    folders = [root] if is_scene(root) else [
        path for path in sorted(root.rglob("*")) if path.is_dir() and is_scene(path)
    ]  # fmt: skip
    samples = [_sample(path, root) for path in folders]
    if not samples:
        raise EmptyData(
            f"{root} holds no scan: a scan is a folder with cams/, images/ and pair.txt (or "
            "another layout). Make one with triscope shape cameras or triscope shape views."
        )
    classes = tuple(sorted({s.label for s in samples if s.label}))
    return Dataset(tuple(samples), str(root), "scans", classes)


def _sample(path: Path, root: Path) -> Sample:
    parts = path.relative_to(root).parts
    split: Any = next((p for p in parts if p in ("train", "calibrate", "test")), None)
    above = [p for p in parts[:-1] if p != split]
    return Sample(path, "/".join(parts) or path.name, above[-1] if above else None, split=split)


def scan(scene: Scene, model: Stereo, name: str, settings: Any) -> Cloud:
    """One scene as a cloud in millimetres."""
    if not scene.unit:
        raise DataError(
            "the unit of the scene is not known, and it is never guessed: write unit.txt (mm or m) "
            "beside cams/, or use triscope shape views --unit."
        )
    if not scene.sources or not scene.ranges:
        scene = choose_views(scene)
    return fused(seen_of(scene, model, settings), scene, name, settings)


def seen_of(scene: Scene, model: Stereo, settings: Any) -> list[Seen | None]:
    """The depth of each view."""
    seen: list[Seen | None] = [None] * len(scene.views)
    number = getattr(settings, "planes", 0)
    for matched in match_views(scene, model, sources=settings.sources, number_of_planes=number):
        view = scene.views[matched.number]
        seen[matched.number] = Seen(matched.depth, view.cam_T_world)
    return seen


def fused(seen: Sequence[Seen | None], scene: Scene, name: str, settings: Any) -> Cloud:
    """Depth of all views as one cloud in millimetres."""
    chosen = fusion_settings_of(name, relative=settings.relative, views=settings.agree)
    sources = {i: [j for j, _ in found] for i, found in scene.sources.items()}
    cloud = fuse(seen, sources, chosen)
    scale = in_mm(np.ones(1), scene.unit)[0]
    return Cloud(cloud.points * scale, **cloud.parts())  # type: ignore[arg-type]


def nominal_file(root: Path, first: Path) -> Path | None:
    """The nominal part in the folder of the scans, or in that of the first; None without one."""
    files = (place / name for place in (root, first) for name in NAMES)
    return next((file for file in files if file.is_file()), None)


def reference_mesh(root: Path, first: Path, model: Stereo, name: str, settings: Any) -> Mesh:
    """The nominal part (``part.stl`` and the like, in mm), else the surface of the first scan."""
    nominal = nominal_file(root, first)
    if nominal is not None:
        return read_mesh(nominal)
    scene = open_scene(first, "interval")
    if not scene.sources or not scene.ranges:
        scene = choose_views(scene)
    seen = seen_of(scene, model, settings)
    cloud = fused(seen, scene, name, settings)
    scale = in_mm(np.ones(1), scene.unit)[0]
    low, high = np.quantile(cloud.points, [0.002, 0.998], axis=0) / scale
    room = 4 * settings.voxel / scale
    mesh = tsdf_mesh([s for s in seen if s is not None], low - room, high + room,
                     settings.voxel / scale)  # fmt: skip
    return Mesh(mesh.vertices * scale, mesh.faces)


def reference_markers(root: Path, first: Path, settings: Any) -> Markers:
    """Where the markers lie on the reference, in mm; nothing where they do not align.

    They are listed in ``markers.txt`` beside the nominal part; where the reference is the surface
    of the first scan, its photos show them.
    """
    if settings.how != "markers":
        return {}
    nominal = nominal_file(root, first)
    places = [place / MARKERS for place in (root, first) if (place / MARKERS).is_file()]
    if nominal is not None and places:
        return read_places(places[0], "mm")
    if places:
        raise DataError(
            f"{places[0]} says where markers lie on a nominal part, but there is none beside it "
            f"({', '.join(NAMES[:3])}): without one the first scan is the reference, and its "
            "photos show where its markers lie. Remove the list, or add the part."
        )
    if nominal is not None:
        raise DataError(
            f"how='markers': {root / MARKERS} is not there. Write the places of the coded targets "
            "on the nominal part into it, 'name x y z' a line, in millimetres."
        )
    return targets_mm(open_scene(first, "interval"), settings.targets)


def compared(
    scene: Scene, model: Stereo, name: str, settings: Any, reference: Distance, markers: Markers
) -> Comparison:
    """A scan against the reference surface; its markers are looked for before the long work."""
    pairs = in_common(targets_mm(scene, settings.targets), markers) if markers else None
    cloud = scan(scene, model, name, settings)
    chosen = comparison.Settings(cell=settings.cell, points=settings.points, how=settings.how)
    return comparison.compare(cloud, reference, chosen, markers=pairs)
