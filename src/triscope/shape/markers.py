"""Markers that a scan and its reference have in common: coded targets, or lists of places.

A list is a text file with ``name x y z`` on each line. Coded targets are ArUco or AprilTag squares
on the part or on its fixture: one is named by its number and lies at the middle of its square.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError
from triscope.shape.alignment import Pairs, by_markers
from triscope.shape.scale import MEET, met, scaled
from triscope.shape.scene import Scene, numbers, read_text
from triscope.shape.units import in_mm

Floats = NDArray[np.float64]
Markers = Mapping[str, Floats]  # (3,) by name
FEWEST = 3
APART = 2.0  # degrees between two rays that tell where they meet
WRONG = 0.05  # of the spread of the markers: so far off, they are not those of the reference

Targets = Literal["4x4_50", "4x4_250", "5x5_100", "6x6_250", "apriltag_36h11"]


@dataclass(frozen=True, eq=False)
class Known:
    """Where markers lie on the reference, in millimetres, and which kind of code they carry."""

    places: Markers
    targets: Targets = "4x4_50"


def read_places(path: str | Path, unit: str) -> dict[str, Floats]:
    """The places of a list, in millimetres; raises DataError for a line that cannot be meant."""
    path, found = Path(path), {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        where = f"{path}, line {number}"
        if len(words) != 4:
            raise DataError(f"{where}: expected 'name x y z', got {line.strip()[:60]!r}.")
        if words[0] in found:
            raise DataError(f"{where}: the marker {words[0]!r} is there twice.")
        found[words[0]] = in_mm(np.array(numbers(words[1:], where)), unit)
    if len(found) < FEWEST:
        raise DataError(f"{path} has {len(found)} markers: {FEWEST} or more are needed.")
    return found


def write_places(path: Path, places: Markers) -> None:
    """A list as ``read_places`` takes it."""
    lines = [f"{name} {' '.join(f'{x:.9g}' for x in place)}\n" for name, place in places.items()]
    path.write_text("".join(lines), encoding="utf-8")


def targets_in(scene: Scene, targets: Targets = "4x4_50") -> dict[str, Floats]:
    """The coded targets that two photos or more show, in the unit of the poses.

    A target is left out where its corners do not meet in space within 2 pixels, views that do not
    agree first. Raises DataError where fewer than three are left.
    """
    seen: dict[str, dict[int, Floats]] = {}
    for i, view in enumerate(scene.views):
        for name, corners in targets_of(view.read(), targets).items():
            seen.setdefault(name, {})[i] = corners
    twice = {name: seen[name] for name in sorted(seen, key=int) if len(seen[name]) >= 2}
    middles = {name: _middle(scene, views) for name, views in twice.items()}
    found = {name: place for name, place in middles.items() if place is not None}
    if len(found) < FEWEST:
        lost = [name for name in twice if name not in found]
        raise DataError(
            f"coded targets ({targets}): {len(twice)} are seen in two photos or more, "
            f"{len(found)} of them meet in space, {FEWEST} are needed. "
            + (f"Of {', '.join(lost)} the views do not agree, or look from nearly one place: check "
               "the poses." if lost else "Check their kind (--targets), and that they are 20 "
               "pixels wide or more with a white rim.")
        )  # fmt: skip
    return found


def targets_of(photo: NDArray[np.uint8], targets: Targets = "4x4_50") -> dict[str, Floats]:
    """Corners (4, 2) of each coded target of a photo, by number; of two alike none."""
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    corners, ids, _ = _detector(targets).detectMarkers(grey)
    names = [] if ids is None else [str(i) for i in np.ravel(ids)]
    return {
        name: np.asarray(four[0], np.float64)
        for name, four in zip(names, corners, strict=True)
        if names.count(name) == 1
    }


def in_common(scan: Markers, reference: Markers) -> Pairs:
    """The markers that both know; raises DataError where fewer than three are left."""
    names = tuple(name for name in reference if name in scan)
    if len(names) < FEWEST:
        raise DataError(
            f"the scan has the markers {', '.join(scan)}, the reference {', '.join(reference)}: "
            f"{len(names)} in common, {FEWEST} are needed."
        )
    ours, its = (np.stack([side[name] for name in names]) for side in (scan, reference))
    return Pairs(names, ours, its)


def targets_mm(scene: Scene, targets: Targets = "4x4_50") -> dict[str, Floats]:
    """The coded targets of a scene whose unit is known, in millimetres."""
    return {name: in_mm(p, scene.unit) for name, p in targets_in(scene, targets).items()}


def scaled_by_markers(scene: Scene, known: Known) -> Scene:
    """The scene in millimetres, from coded targets whose places on the part are known."""
    pairs = in_common(targets_in(scene, known.targets), known.places)
    spreads = [np.linalg.norm(p - p.mean(0)) for p in (pairs.reference, pairs.scan)]
    factor = float(spreads[0] / spreads[1])
    by_markers(replace(pairs, scan=pairs.scan * factor), WRONG * float(spreads[0]))
    return scaled(scene, factor)


def alike(one: Markers, other: Markers) -> bool:
    """Whether both have the same names at the same places."""
    return one.keys() == other.keys() and all(np.allclose(one[n], other[n]) for n in one)


def _middle(scene: Scene, seen: Mapping[int, Floats]) -> Floats | None:
    """The middle of a target; None where its views never agree."""
    views = dict(seen)
    while len(views) >= 2:
        places, off = met(scene, views)
        if off.max() <= MEET:
            place = np.asarray(places.mean(0))
            return place if _apart(scene, views, place) >= APART else None
        del views[list(views)[int(off.mean(1).argmax())]]
    return None


def _apart(scene: Scene, views: Mapping[int, Floats], place: Floats) -> float:
    """Degrees between the two rays to a place that differ most."""
    rays = np.stack([scene.views[i].centre - place for i in views])
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    return float(np.degrees(np.arccos(np.clip((rays @ rays.T).min(), -1, 1))))


def _detector(targets: Targets) -> cv2.aruco.ArucoDetector:
    settings = cv2.aruco.DetectorParameters()
    settings.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    known = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f"DICT_{targets.upper()}"))
    return cv2.aruco.ArucoDetector(known, settings)
