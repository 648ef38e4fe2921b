"""All stages one after the other: what is in the folder, whatever it is, to the report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from triscope.errors import DataError
from triscope.shape import cameras, comparison, stages, views
from triscope.shape.formats import open_scene
from triscope.shape.formats.mvsnet import write_scene
from triscope.shape.matching import Progress
from triscope.shape.scene import Scene
from triscope.shape.stereo import Stereo


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
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Photos or a scene in; scene, depth, cloud and, with a reference, the deviation out.

    Finished stages are not done again. Where the cameras are not known they are found, and scaled
    as ``photos`` says; where nothing says how deep to look, sparse points are triangulated.
    """
    out, source = Path(out), Path(source)
    place = out / "scene"
    if (place / "pair.txt").is_file():
        scene = open_scene(place, "interval")
        if unit and not scene.unit:  # said only now
            (place / "unit.txt").write_text(unit + "\n", encoding="utf-8")
            scene = scene.with_(unit=unit)
    else:
        scene = _with_cameras(source, place / "work", photos, unit, second, reference is not None)
        scene = _kept(scene, place, near, far, longest)
    if reference is not None:
        _must_have_unit(scene.unit)
        stages.mesh_of(Path(reference), reference_unit)  # its faults are told before the work
    told = stages.depth(
        out / "scene", out / "depth", model, sources=sources,
        number_of_planes=number_of_planes, progress=progress,
    )  # fmt: skip
    chosen = stages.fusion_settings(out / "depth", **(fusion or {}))
    fused = stages.fuse(out / "scene", out / "depth", out / "fused", chosen, voxel=voxel)
    compared, report = None, None
    if reference is not None:
        compared = stages.compare(
            out / "fused", reference, out / "compared", settings, reference_unit=reference_unit
        )
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
            "--board or --distance for photos, --unit for a scene whose poses have one."
        )


def _with_cameras(
    source: Path, work: Path, photos: cameras.Photos, unit: str, second: Any, compared: bool
) -> Scene:
    """The scene of a folder; where it holds photos only, their cameras are found."""
    try:
        scene = open_scene(source, second)
    except DataError as error:
        if "is no scene that is known" not in str(error):
            raise
        if compared and not (photos.board or photos.distance):
            _must_have_unit("")
        scene = cameras.of_photos(source, work, photos)
    if unit and not scene.unit:
        scene = scene.with_(unit=unit)
    if compared:
        _must_have_unit(scene.unit)
    return scene


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
