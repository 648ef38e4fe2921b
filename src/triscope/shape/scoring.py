"""Folders scored as the benchmarks do: depth maps against true depth, clouds against a true one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError, EmptyData
from triscope.kernel.config import require
from triscope.shape.distance import Distance
from triscope.shape.evaluation import (
    DepthErrors,
    cloud_errors,
    depth_errors,
    f_score,
    point_to_mesh,
    thinned,
    truth_at,
)
from triscope.shape.formats import open_scene
from triscope.shape.formats.meshes import read_surface
from triscope.shape.stages import cloud_file, read_seen
from triscope.shape.surface import Mesh
from triscope.shape.units import noted

Floats = NDArray[np.float64]
SAMPLES = 1_000_000  # points drawn of a mesh that clouds are compared with


@dataclass(frozen=True)
class Settings:
    """How clouds are compared; lengths in the unit of both. The values are those of DTU, in mm."""

    cut: float = 20.0  # distances of so much or more count in no mean
    thin: float = 0.2  # the answer keeps one point in a cube of this side; 0: as it is
    within: float = 1.0  # distance of precision, recall and F-score

    def __post_init__(self) -> None:
        """Raise BadSettings for a number out of its range."""
        require(
            self,
            cut=(self.cut > 0, "a length above 0"),
            thin=(self.thin >= 0, "a length, or 0"),
            within=(self.within > 0, "a length above 0"),
        )


def score_depth(
    answer: str | Path, truth: str | Path, confidence: float = 0.0, second: Any = "interval"
) -> dict[str, DepthErrors]:
    """Errors of each view of a scene with true depth, by name, of a folder of ``shape depth``.

    A pixel of less confidence counts as one without an answer. Raises EmptyData where no view has
    both.
    """
    opened = open_scene(truth, second)
    found = {}
    for view, seen in zip(opened.views, read_seen(opened, answer, colours=False), strict=True):
        true = view.true_depth() if seen is not None else None
        if true is None:
            continue
        sure = np.where(seen.depth.confidence >= confidence, seen.depth.values, 0)
        try:
            found[view.name] = depth_errors(sure, truth_at(true, sure.shape))
        except EmptyData:
            continue
    if not found:
        raise EmptyData(
            f"no view of {truth} has both a true depth and an answer in {answer} with a confidence "
            f"of {confidence:g} or more: true depth lies beside the images (depths/*.pfm, or as "
            "the layout has it)."
        )
    return found


def mean_of(errors: dict[str, DepthErrors]) -> dict[str, float]:
    """The means over the views, each counted once."""
    rows = [one.to_dict() for one in errors.values()]
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def score_cloud(
    answer: str | Path,
    truth: str | Path,
    settings: Settings = Settings(),
    *,
    observed: str | Path | None = None,
    plane: str | Path | None = None,
) -> dict[str, float]:
    """Accuracy, completeness, overall, precision, recall and F-score of a cloud or a fused folder.

    ``truth`` is a cloud, or a mesh (points are drawn on it, and signed distances to it are told
    too). ``observed`` and ``plane`` are DTU's ``ObsMask*.mat`` and ``Plane*.mat``: what of the
    answer lies where the truth was measured, and what of the truth lies above the table.
    """
    path = cloud_file(answer)
    units = [noted(path), noted(Path(truth))]
    if all(units) and units[0] != units[1]:
        raise DataError(f"{path} is in {units[0]}, {truth} in {units[1]}: scale one of them first.")
    cloud = _points(read_surface(path))
    surface = read_surface(truth)
    true = surface.sampled(SAMPLES).points if isinstance(surface, Mesh) else surface.points
    if settings.thin:
        cloud = thinned(cloud, settings.thin)
    mask = in_volume(cloud, observed) if observed is not None else None
    above = above_plane(true, plane) if plane is not None else None
    errors = cloud_errors(cloud, true, cut=settings.cut, observable=mask, observed=above)
    share = f_score(
        cloud if mask is None else cloud[mask], true if above is None else true[above],
        settings.within,
    )  # fmt: skip
    found = {"points": float(len(cloud)), **asdict(errors), **asdict(share)}
    if isinstance(surface, Mesh):
        distances = point_to_mesh(cloud, Distance(surface))
        found |= {f"to_mesh_{name}": value for name, value in distances.items()}
    return found


def in_volume(points: Floats, mask: str | Path) -> NDArray[np.bool_]:
    """Which points lie in the voxels that DTU observed: ``ObsMask``, ``BB`` (2, 3), ``Res``."""
    inside, corners, side = _mat(mask, "ObsMask", "BB", "Res")
    place = np.rint((points - corners[0]) / float(side.ravel()[0])).astype(np.int64)
    there = ((place >= 0) & (place < inside.shape)).all(1)
    there[there] = inside[tuple(place[there].T)] > 0
    return np.asarray(there)


def above_plane(points: Floats, plane: str | Path) -> NDArray[np.bool_]:
    """Which points lie above DTU's table: ``P`` (4,) with P . (x, y, z, 1) > 0."""
    (P,) = _mat(plane, "P")
    P = P.ravel()
    return np.asarray(points @ P[:3] + P[3] > 0)


def _points(surface: Any) -> Floats:
    return surface.vertices if isinstance(surface, Mesh) else surface.points


def _mat(path: str | Path, *names: str) -> list[NDArray[Any]]:
    """Arrays of a MATLAB file; raises DataError naming what is missing."""
    from scipy.io import loadmat

    try:
        found = loadmat(str(path))
    except (OSError, ValueError, NotImplementedError) as error:
        raise DataError(f"{path} cannot be read as a MATLAB file: {error}.") from error
    missing = [name for name in names if name not in found]
    if missing:
        known = [name for name in found if not name.startswith("__")]
        raise DataError(f"{path} has no {', '.join(missing)}: it holds {', '.join(known)}.")
    return [np.asarray(found[name]) for name in names]
