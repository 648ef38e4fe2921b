"""The stages from folder to folder: each skips what is done and goes on where it stopped.

scene/    cams/  images/  pair.txt  unit.txt          cameras, views
depth/    00000000.pfm  00000000_prob.pfm  00000000.json  stage.json
fused/    cloud.ply  [mesh.ply]  stage.json
compared/ deviation.ply  deviation.csv  findings.json  report.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError
from triscope.kernel import config
from triscope.kernel.results import Depth
from triscope.shape import comparison, fusion, matching, views
from triscope.shape.alignment import Alignment, Pairs
from triscope.shape.comparison import Comparison
from triscope.shape.distance import Distance
from triscope.shape.formats import open_scene
from triscope.shape.formats.meshes import read_surface
from triscope.shape.formats.mvsnet import write_scene
from triscope.shape.formats.pfm import read_pfm, write_pfm
from triscope.shape.formats.ply import write_ply
from triscope.shape.matching import Progress
from triscope.shape.reporting import write_deviation
from triscope.shape.scene import Scene
from triscope.shape.stereo import Stereo
from triscope.shape.surface import Cloud, Mesh
from triscope.shape.tsdf import tsdf_mesh
from triscope.shape.units import in_mm, unit_of

STAGE = "stage.json"
# Fusion of a model whose confidence means something else than a probability over planes.
PROBABILITY = {"rmvsnet": 0.3, "mvsnet": 0.8, "aa_rmvsnet": 0.3, "patchmatchnet": 0.5,
               "zncc_sweep": 0.6}  # fmt: skip

# Pixels at the rim of a surface that a model cannot be trusted in: half its window.
BORDER = {"zncc_sweep": 4, "patchmatchnet": 2}


def choose(
    source: str | Path,
    out: str | Path,
    settings: views.Settings = views.Settings(),
    *,
    near: float = 0.0,
    far: float = 0.0,
    unit: str = "",
    longest: int = 0,
    second: Any = None,
) -> Scene:
    """``shape views``: a scene in any layout -> one in MVSNet's, with sources and depth ranges."""
    scene = open_scene(source, second)
    scene = scene.said(unit)
    if longest:
        scene = scene.resized(longest)
    if not scene.sources or not scene.ranges or near or far:
        kept = scene.sources
        scene = views.choose_views(scene, settings, near=near, far=far)
        scene = scene.with_(sources=kept) if kept else scene
    write_scene(out, scene)
    return scene


def depth(
    scene_folder: str | Path,
    out: str | Path,
    model: Stereo,
    *,
    sources: int = 4,
    number_of_planes: int = 0,
    second: Any = "interval",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """``shape depth``: a scene -> depth, confidence and reasons for each view; resumable.

    Raises DataError where the folder holds depth of other data or settings.
    """
    scene, out = open_scene(scene_folder, second), Path(out)
    name = getattr(type(model), "model_name", type(model).__name__)
    begin(out, {
        "stage": "depth", "model": name, "settings": config.to_dict(model.settings),
        "sources": sources, "planes": number_of_planes, "scene": hash_of_scene(scene),
    })  # fmt: skip
    wanted = [i for i in range(len(scene.views)) if scene.sources.get(i)]
    todo = [i for i in wanted if not (out / f"{scene.views[i].name}.json").is_file()]
    told: list[str] = []
    start = process_time(), perf_counter()
    if todo or not wanted:
        for matched in matching.match_views(
            scene, model, sources=sources, number_of_planes=number_of_planes,
            only=todo or None, progress=progress,
        ):  # fmt: skip
            _write_depth(out, scene, matched, PROBABILITY.get(name, 0.3))
    for i in wanted:
        facts = json.loads((out / f"{scene.views[i].name}.json").read_text())
        told += [facts["advice"]] if facts["advice"] else []
    return {
        "views": len(wanted),
        "done_before": len(wanted) - len(todo),
        "advice": told,
        "cpu_s": round(process_time() - start[0], 2),
        "wall_s": round(perf_counter() - start[1], 2),
    }


def _write_depth(out: Path, scene: Scene, matched: matching.Matched, probability: float) -> None:
    view, depth = scene.views[matched.number], matched.depth
    why = matching.reasons(view.read(), depth, matched.depths, probability=probability)
    found = matching.shares(why)
    write_pfm(out / f"{view.name}.pfm", depth.values)
    write_pfm(out / f"{view.name}_prob.pfm", depth.confidence)
    facts = {
        "K": depth.K.tolist(),
        "cam_T_world": view.cam_T_world.tolist(),
        "flat": depth.flat,
        "sources": list(matched.sources),
        "reasons": found,
        "advice": matching.advice(depth, found, view),
    }
    # Last, and in one step: a view is done when this file is there.
    part = out / f".{view.name}.json.part"
    part.write_text(json.dumps(facts) + "\n", encoding="utf-8")
    part.replace(out / f"{view.name}.json")


def read_seen(scene: Scene, folder: str | Path, *, colours: bool = True) -> list[Any]:
    """The depth of each view as fusion takes it; None where a view has none."""
    found: list[Any] = []
    for view in scene.views:
        facts = Path(folder) / f"{view.name}.json"
        if not facts.is_file():
            found.append(None)
            continue
        plain = json.loads(facts.read_text(encoding="utf-8"))
        values = read_pfm(Path(folder) / f"{view.name}.pfm")
        sure = read_pfm(Path(folder) / f"{view.name}_prob.pfm")
        paint = None
        if colours:
            size = (values.shape[1], values.shape[0])
            small = cv2.resize(view.read(), size, interpolation=cv2.INTER_AREA)
            paint = np.asarray(small, np.uint8)
        depth = Depth(values, sure, np.array(plain["K"]), plain["flat"])
        found.append(fusion.Seen(depth, view.cam_T_world, paint))
    if not any(found):
        raise DataError(f"{folder} holds no depth of this scene: run triscope shape depth first.")
    return found


def fuse(
    scene_folder: str | Path,
    depth_folder: str | Path,
    out: str | Path,
    settings: fusion.Settings | None = None,
    *,
    voxel: float = 0.0,
    second: Any = "interval",
) -> dict[str, Any]:
    """``shape fuse``: depth maps -> ``cloud.ply`` and, with a voxel size, ``mesh.ply``."""
    scene, out = open_scene(scene_folder, second), Path(out)
    _must_be_of(depth_folder, scene, scene_folder)
    settings = settings or fusion_settings(depth_folder)
    out.mkdir(parents=True, exist_ok=True)
    seen = read_seen(scene, depth_folder)
    sources = {i: [j for j, _ in found] for i, found in scene.sources.items()}
    cloud = fusion.fuse(seen, sources, settings)
    write_ply(out / "cloud.ply", cloud)
    faces = 0
    if voxel:
        low, high = np.quantile(cloud.points, [0.002, 0.998], axis=0)
        mesh = tsdf_mesh(
            [view for view in seen if view is not None], low - 4 * voxel, high + 4 * voxel, voxel,
            probability=settings.probability,
        )  # fmt: skip
        write_ply(out / "mesh.ply", mesh)
        faces = len(mesh.faces)
    (out / "unit.txt").write_text(scene.unit + "\n", encoding="utf-8")
    facts = {"points": len(cloud), "faces": faces, "unit": scene.unit, **asdict(settings)}
    (out / STAGE).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return facts


def _must_be_of(depth_folder: str | Path, scene: Scene, scene_folder: str | Path) -> None:
    if facts_of(depth_folder).get("scene") not in (None, hash_of_scene(scene)):
        raise DataError(
            f"{depth_folder} is the depth of another scene than {scene_folder} (or of other "
            "cameras or ranges): run triscope shape depth for this one."
        )


def fusion_settings(depth_folder: str | Path, **changes: Any) -> fusion.Settings:
    """Settings that fit the model of a depth folder."""
    return fusion_settings_of(facts_of(depth_folder).get("model", ""), **changes)


def fusion_settings_of(name: str, **changes: Any) -> fusion.Settings:
    """Settings of fusion that fit a model."""
    usual = {"probability": PROBABILITY.get(name, 0.3), "border": BORDER.get(name, 1)}
    return fusion.Settings(**{**usual, **changes})


def compare(
    scan: str | Path,
    reference: str | Path,
    out: str | Path,
    settings: comparison.Settings = comparison.Settings(),
    *,
    unit: str = "",
    reference_unit: str = "",
    alignment: Alignment | None = None,
    markers: Pairs | None = None,
) -> Comparison:
    """``shape compare``: a scan and its reference -> deviations, findings, report."""
    cloud, reference = cloud_of(scan, unit), Path(reference)
    surface = Distance(mesh_of(reference, reference_unit))
    found = comparison.compare(cloud, surface, settings, alignment=alignment, markers=markers)
    title = f"Deviation from {reference.name}"
    write_deviation(Path(out), found, settings.tolerance, title=title)
    return found


def cloud_file(scan: str | Path) -> Path:
    """The file of a scan: itself, or the cloud in the folder of ``shape fuse``."""
    path = Path(scan)
    return path / "cloud.ply" if path.is_dir() else path


def cloud_of(scan: str | Path, unit: str = "") -> Cloud:
    """A scan in millimetres: a file, or the folder of ``shape fuse``."""
    path = cloud_file(scan)
    found = read_surface(path)
    cloud = Cloud(found.vertices) if isinstance(found, Mesh) else found
    scale = in_mm(np.ones(1), unit_of(path, unit))[0]
    parts = cloud.parts()
    return Cloud(cloud.points * scale, **parts)  # type: ignore[arg-type]


def mesh_of(reference: Path, unit: str = "") -> Mesh:
    """A reference in millimetres; a mesh, since a distance needs a surface."""
    found = read_surface(reference)
    if not isinstance(found, Mesh):
        raise DataError(
            f"{reference} holds points but no faces: a reference needs a surface. Make one of a "
            "golden scan with triscope shape fuse --voxel, or give the CAD part as STL."
        )
    scale = in_mm(np.ones(1), unit_of(reference, unit))[0]
    return Mesh(found.vertices * scale, found.faces)


def facts_of(folder: str | Path) -> dict[str, Any]:
    """What a folder of results says of itself; nothing where it is none."""
    path = Path(folder) / STAGE
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def begin(out: Path, facts: Mapping[str, Any]) -> None:
    """Open the folder of a stage; raises DataError where it holds another's results."""
    out.mkdir(parents=True, exist_ok=True)
    path, plain = out / STAGE, json.loads(json.dumps(facts))
    if path.is_file():
        before = facts_of(out)
        other = [name for name in plain if before.get(name) != plain[name]]
        if other:
            raise DataError(
                f"{out} holds results of other {', '.join(other)}: choose another folder, or "
                "remove this one to start again."
            )
    path.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")


def hash_of_scene(scene: Scene) -> str:
    """A hash over cameras, sources, ranges and images."""
    digest = hashlib.sha256()
    for i, view in enumerate(scene.views):
        digest.update(view.name.encode())
        digest.update(np.round(view.K, 9).tobytes() + np.round(view.cam_T_world, 9).tobytes())
        digest.update(repr((scene.sources.get(i), scene.ranges.get(i))).encode())
        image: NDArray[Any] | Path = view.image
        digest.update(image.read_bytes() if isinstance(image, Path) else image.tobytes())
    return digest.hexdigest()
