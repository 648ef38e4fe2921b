"""All stages one after the other: what is in the folder, whatever it is, to the report."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from triscope.errors import DataError
from triscope.shape import cameras, comparison, markers, stages, views
from triscope.shape.alignment import WITHIN, by_markers
from triscope.shape.formats import open_scene
from triscope.shape.formats.mvsnet import write_scene
from triscope.shape.markers import Markers
from triscope.shape.matching import Progress
from triscope.shape.scene import Scene
from triscope.shape.stereo import Stereo

CAMERAS = (
    "_cam.txt",
    "_par.txt",
    "K.txt",
    "poses.txt",
    "cameras.txt",
    "images.txt",
    ".camera",
    ".bin",
)
SCALED = "scaled_by_markers.txt"  # beside the cameras: what gave them their scale


def reconstruct(
    source: str | Path,
    out: str | Path,
    model: Stereo,
    *,
    reference: str | Path | None = None,
    settings: comparison.Settings = comparison.Settings(),
    sources: int = 4,
    number_of_planes: int = 0,
    near: float = 0.0,
    far: float = 0.0,
    unit: str = "",
    reference_unit: str = "",
    longest: int = 0,
    second: Any = None,
    voxel: float = 0.0,
    fusion: Mapping[str, Any] | None = None,
    photos: cameras.Photos = cameras.Photos(),
    marked: markers.Known | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Photos or a scene in; scene, depth, cloud and, with a reference, the deviation out.

    Finished stages are not done again. Where the cameras are not known they are found, and scaled
    as ``photos`` or the markers say; where nothing says how deep to look, sparse points are
    triangulated. ``marked``: coded targets in the photos, by which the scan is aligned.
    """
    out, source = Path(out), Path(source)
    place = out / "scene"
    places: Markers = {}
    facts = {
        "source": hash_of_photos(source, out), "near": near, "far": far, "longest": longest,
        "photos": asdict(replace(photos, threads=0)),
    }  # fmt: skip
    if (place / "pair.txt").is_file():
        stages.begin(place, facts)
        scene = open_scene(place, "interval")
        if unit and not scene.unit:  # said only now
            (place / "unit.txt").write_text(unit + "\n", encoding="utf-8")
        scene = scene.said(unit)
        if marked is not None:
            places = _kept_markers(scene, place, marked)
    else:
        _begin_work(place / "work", facts["source"])
        scene = _with_cameras(source, place / "work", photos, unit, second, reference is not None,
                              marked)  # fmt: skip
        if marked is not None:  # in the photos as they came, before they are shrunk
            places = markers.targets_mm(scene, marked.targets)
        scene = _kept(scene, place, near, far, longest)
        stages.begin(place, facts)
        if marked is not None:
            markers.write_places(place / f"markers_{marked.targets}.txt", places)
    pairs = markers.in_common(places, marked.places) if marked is not None else None
    if pairs is not None:
        settings = replace(settings, how="markers")
    if reference is not None:  # its faults, and those of the markers, are told before the work
        _must_have_unit(scene.unit)
        extent = stages.mesh_of(Path(reference), reference_unit).extent()
        if pairs is not None:
            by_markers(pairs, WITHIN * extent)
    told = stages.depth(
        out / "scene", out / "depth", model, sources=sources,
        number_of_planes=number_of_planes, progress=progress,
    )  # fmt: skip
    chosen = stages.fusion_settings(out / "depth", **(fusion or {}))
    fused = stages.fuse(out / "scene", out / "depth", out / "fused", chosen, voxel=voxel)
    compared, report = None, None
    if reference is not None:
        compared = stages.compare(
            out / "fused", reference, out / "compared", settings, reference_unit=reference_unit,
            markers=pairs,
        )  # fmt: skip
        report = out / "compared" / "report.html"
    return {
        "output": out,
        "views": len(scene.views),
        "points": fused["points"],
        "unit": fused["unit"],
        "advice": told["advice"],
        "findings": None if compared is None else compared.findings,
        "report": report,
        "comparison": compared,
        "problems": (*scene.problems, *(() if compared is None else compared.problems)),
    }


def _must_have_unit(unit: str) -> None:
    if not unit:
        raise DataError(
            "the scale of the scene is not known, so it cannot be compared with a reference: give "
            "--board, --distance or --markers for photos, --unit for a scene whose poses have one."
        )


def _with_cameras(
    source: Path,
    work: Path,
    photos: cameras.Photos,
    unit: str,
    second: Any,
    compared: bool,
    marked: markers.Known | None,
) -> Scene:
    """The scene of a folder; where it holds photos only, their cameras are found."""
    try:
        scene = open_scene(source, second)
        if photos.board or photos.distance:
            if scene.unit:
                raise DataError(f"{source} has its scale already: its poses are in {scene.unit}.")
            scene = cameras.scaled_as_known(scene, photos)
    except DataError as error:
        if "is no scene that is known" not in str(error):
            raise
        if compared and not (photos.board or photos.distance or marked):
            _must_have_unit("")
        scene = cameras.of_photos(source, work, photos)
    scene = scene.said(unit)
    if marked is not None and not scene.unit:
        scene = markers.scaled_by_markers(scene, marked)
        work.parent.mkdir(parents=True, exist_ok=True)
        markers.write_places(work.parent / SCALED, marked.places)
    if compared:
        _must_have_unit(scene.unit)
    return scene


def _begin_work(work: Path, source: object) -> None:
    """What COLMAP found of other photos is never gone on with; no more is left of a failed run."""
    if not (work / "database.db").is_file():
        (work / stages.STAGE).unlink(missing_ok=True)
    stages.begin(work, {"source": source})


def hash_of_photos(source: Path, out: Path) -> str:
    """A hash over the images and camera files below a folder, without those of the results."""
    if not source.is_dir():
        raise DataError(f"{source} is not a folder: expected photos, or a scene.")
    digest, results = hashlib.sha256(), out.resolve()
    for path in sorted(source.rglob("*")):
        known = path.suffix.lower() in cameras.SUFFIXES or path.name.endswith(CAMERAS)
        if not known or results in path.resolve().parents:
            continue
        digest.update(str(path.relative_to(source)).encode() + path.read_bytes())
    return digest.hexdigest()


def _kept_markers(scene: Scene, place: Path, marked: markers.Known) -> Markers:
    """The markers of a scene that an earlier run left; their scale must be that of the scene."""
    again = f"remove {place.parent} to start again with these."
    if not scene.unit:
        raise DataError(f"{place} has no scale: its cameras were found without markers; {again}")
    scaled = place / SCALED
    if scaled.is_file():
        before = markers.read_places(scaled, "mm")
        if not markers.alike(before, marked.places):
            raise DataError(f"{place} was scaled by other markers; {again}")
    kept = place / f"markers_{marked.targets}.txt"
    if not kept.is_file():
        markers.write_places(kept, markers.targets_mm(scene, marked.targets))
    return markers.read_places(kept, "mm")


def _kept(scene: Scene, place: Path, near: float, far: float, longest: int) -> Scene:
    """The scene with sources and ranges, written once and read again."""
    if longest:
        scene = scene.resized(longest)
    write_scene(place, _chosen(scene, place, near, far))
    return open_scene(place, "interval").with_(problems=scene.problems)


def _chosen(scene: Scene, place: Path, near: float, far: float) -> Scene:
    kept = scene.sources
    if kept and scene.ranges and not near:
        return scene
    try:
        chosen = views.choose_views(scene, near=near, far=far)
    except DataError as error:
        if "cameras look in parallel" not in str(error):
            raise
        with_points = cameras.triangulated(scene, place / "work")
        chosen = views.choose_views(with_points)
    return chosen.with_(sources=kept) if kept else chosen
