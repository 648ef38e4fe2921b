"""Stereo models side by side on ``fountain-P11`` and ``templeSparseRing``, published cameras fixed.

    python -m benchmarks.bench_shape_peers FOLDER [--scenes fountain temple] [--every 1]
        [--openmvs PROGRAMS]

COLMAP (pycolmap, on the CPU) finds sparse points with the cameras as they are; its dense stereo
needs CUDA. Each model runs in a process of its own on one thread: 4 sources, 128 planes over the
range of the sparse points. PROGRAMS is a folder with the programs of OpenMVS, where it was built.
What is done stays in FOLDER; a run that was stopped goes on.

A depth map is compared with the sparse points that its view sees, at their pixels. Clouds are
thinned to one point a cell, then each is compared with that of ``zncc_sweep``: median and 90 % of
the distance of its points to those, and the share of those with one of its points in two cells.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.data import DATA
from benchmarks.measure import clock, peak_mb
from benchmarks.openmvs import densified
from triscope.kernel.geometry.cameras import project
from triscope.shape import fusion
from triscope.shape.cameras import triangulated
from triscope.shape.evaluation import nearest, thinned
from triscope.shape.formats import open_scene
from triscope.shape.matching import match_views
from triscope.shape.scene import Scene, Sparse
from triscope.shape.stages import fusion_settings_of
from triscope.shape.stereo import stereo
from triscope.shape.views import choose_views

SCENES = {  # folder, longest side, metres of a cell of the thinned clouds
    "fountain": ("strecha/fountain-P11", 768, 0.02),
    "temple": ("middlebury/templeSparseRing", 640, 0.0005),
}
WEIGHTS = {
    "rmvsnet_dtu": "RMVSNet-Pytorch/RMVSNet-pretrained.pth",
    "patchmatchnet": "PatchmatchNet/params_000007.ckpt",
    "aa_rmvsnet": "AA-RMVSNet/model_blended_v2.ckpt",
}
MODELS = ("zncc_sweep", "rmvsnet_own", "rmvsnet_dtu", "mvsnet_own", "patchmatchnet", "aa_rmvsnet")
PLANES, SOURCES = 128, 4


def scene_of(folder: Path, name: str) -> Scene:
    """The scene with sparse points, sources and ranges; points are found once."""
    place, longest, _ = SCENES[name]
    scene = open_scene(DATA / place).resized(longest)
    kept = folder / name / "sparse.npz"
    if not kept.is_file():
        with clock() as used:
            found = triangulated(scene, folder / name / "colmap").sparse
        assert found is not None
        seen = {f"seen{i}": one for i, one in enumerate(found.seen)}
        np.savez(kept, allow_pickle=False, xyz=found.xyz, cpu=used.cpu_s, peak=used.peak_mb, **seen)
    with np.load(kept) as stored:
        seen = tuple(stored[f"seen{i}"] for i in range(len(scene.views)))
        return choose_views(scene.with_(sparse=Sparse(stored["xyz"], seen)))


def run(folder: Path, name: str, model_name: str, every: int) -> None:
    """One model on one scene: ``MODEL.json`` and ``MODEL.npy`` (the cloud)."""
    cv2.setNumThreads(1)
    scene = scene_of(folder, name)
    kind = model_name.partition("_own")[0].partition("_dtu")[0]
    given = {"weights": "own"}
    if model_name in WEIGHTS:
        given = {"weights": str(DATA / "weights" / "mvs" / WEIGHTS[model_name])}
    before = peak_mb()
    model = stereo(kind, given if kind != "zncc_sweep" else {})
    seen: list[fusion.Seen | None] = [None] * len(scene.views)
    gaps: list[Any] = []
    start = time.process_time()
    wanted = list(range(0, len(scene.views), every))
    for matched in match_views(scene, model, sources=SOURCES, number_of_planes=PLANES, only=wanted):
        seen[matched.number] = fusion.Seen(
            matched.depth, scene.views[matched.number].cam_T_world, None
        )
        gaps.append(gaps_of(scene, matched.number, matched.depth))
    cpu = (time.process_time() - start) / len(wanted)
    peak = peak_mb()
    sources = {i: [j for j, _ in found] for i, found in scene.sources.items()}
    start = time.process_time()
    cloud = fusion.fuse(seen, sources, fusion_settings_of(kind)) if every == 1 else None
    row = {
        "views": len(wanted), "cpu_s": cpu, "peak_mb": peak, "start_mb": before,
        "size": list(seen[0].depth.values.shape) if seen[0] else [],
        "fuse_s": time.process_time() - start, "points": len(cloud) if cloud else 0,
    }  # fmt: skip
    keep(folder, name, model_name, row, gaps, cloud.points if cloud else None)


def run_openmvs(folder: Path, name: str, programs: Path) -> None:
    """OpenMVS on one scene: the same two files; its seconds a view hold the fusion too."""
    scene = scene_of(folder, name)
    found = densified(programs, folder / name / "colmap", folder / name / "openmvs", SOURCES)
    depths = [(scene.number(stem), depth) for stem, depth in found.depths.items()]
    row = {
        "views": len(depths), "cpu_s": found.cpu_s / len(depths), "peak_mb": found.peak_mb,
        "size": list(depths[0][1].values.shape), "fuse_s": 0.0, "points": len(found.points),
    }  # fmt: skip
    gaps = [gaps_of(scene, number, depth) for number, depth in depths]
    keep(folder, name, "openmvs", row, gaps, found.points)


def keep(
    folder: Path, name: str, model_name: str, row: dict[str, Any], gaps: list[Any], points: Any
) -> None:
    """Write what one method answered."""
    gap = np.concatenate(gaps)
    known = gap[np.isfinite(gap)]
    row |= {
        "model": model_name, "median": float(np.median(known)),
        "within_1": float((known < 0.01).sum() / len(gap)),
        "answered": len(known) / len(gap), "sparse": len(gap),
    }  # fmt: skip
    if points is not None:
        np.save(folder / name / f"{model_name}.npy", thinned(points, SCENES[name][2]))
    (folder / name / f"{model_name}.json").write_text(json.dumps(row) + "\n")


def gaps_of(scene: Scene, number: int, depth: Any) -> Any:
    """Relative error at each sparse point that the view sees; infinite where there is no depth."""
    sparse, view = scene.sparse, scene.views[number]
    assert sparse is not None
    places, z = project(depth.K, view.cam_T_world, sparse.xyz[sparse.seen[number]])
    h, w = depth.values.shape
    columns, rows = np.rint(places).astype(int).T
    inside = (columns >= 0) & (columns < w) & (rows >= 0) & (rows < h)
    found = depth.values[rows[inside], columns[inside]]
    return np.where(found > 0, np.abs(found - z[inside]) / z[inside], np.inf)


def table(folder: Path, name: str) -> list[str]:
    """The rows of one scene."""
    with np.load(folder / name / "sparse.npz") as stored:
        cpu, peak, points = float(stored["cpu"]), float(stored["peak"]), len(stored["xyz"])
    rows = [
        f"| COLMAP, points only | - | -, {cpu:.1f} | {peak:.0f} | {points:,} | {points / cpu:,.0f} "
        "| - | - | - | - |"
    ]
    found = {
        model: json.loads((folder / name / f"{model}.json").read_text())
        for model in (*MODELS, "openmvs")
        if (folder / name / f"{model}.json").is_file()
    }
    for r in found.values():
        r["all_s"] = r["cpu_s"] * r["views"] + r["fuse_s"]
    for model, r in found.items():
        rows.append(
            f"| {model} | {r['size'][1]} x {r['size'][0]} | {r['cpu_s']:.2f} + {r['fuse_s']:.1f}, "
            f"{r['all_s']:.1f} | {r['peak_mb']:.0f} | {r['points']:,} "
            f"| {r['points'] / r['all_s']:,.0f} | {100 * r['median']:.2f} % "
            f"| {r['within_1']:.1%} ({r['answered']:.0%}) | {beside(folder / name, model, name)} "
            f"| {front(r, list(found.values()))} |"
        )
    return rows


def beside(folder: Path, model: str, name: str) -> str:
    """How far its thinned cloud is from that of ``zncc_sweep``, and how much of that it covers."""
    ours, its = folder / f"{MODELS[0]}.npy", folder / f"{model}.npy"
    if model == MODELS[0] or not (ours.is_file() and its.is_file()):
        return "-"
    one, other = np.load(its), np.load(ours)
    there, back = 1000 * nearest(one, other), nearest(other, one) < 2 * SCENES[name][2]
    return f"{np.median(there):.2f} / {np.quantile(there, 0.9):.2f} mm, {back.mean():.0%}"


def front(row: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """In which of accuracy and points no other row is better in fewer CPU seconds."""
    fewer = [other for other in rows if other["all_s"] < row["all_s"]]
    unbeaten = [
        word
        for word, key in (("accuracy", "within_1"), ("points", "points"))
        if all(other[key] < row[key] for other in fewer)
    ]
    return ", ".join(unbeaten) or "-"


TITLES = ("method", "depth map", "CPU s: a view + fusion, all", "peak MB", "points",
          "points a CPU s", "median gap", "within 1 % (answered)",
          "to the cloud of zncc_sweep: median / 90 %, covered", "front")  # fmt: skip


def main() -> None:
    """Run what is missing, then print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scenes", nargs="+", default=list(SCENES))
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--every", type=int, default=1, help="only every n-th view; no cloud then")
    parser.add_argument("--openmvs", type=Path, help="folder of the programs of OpenMVS")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    for name in chosen.scenes:
        (chosen.folder / name).mkdir(parents=True, exist_ok=True)
        if chosen.one:
            run(chosen.folder, name, chosen.models[0], chosen.every)
            return
        scene_of(chosen.folder, name)
        for model in chosen.models:
            if not (chosen.folder / name / f"{model}.json").is_file():
                command = [sys.executable, "-m", "benchmarks.bench_shape_peers",
                           str(chosen.folder), "--one", "--scenes", name, "--models", model,
                           "--every", str(chosen.every)]  # fmt: skip
                subprocess.run(command, check=True)
        if chosen.openmvs and not (chosen.folder / name / "openmvs.json").is_file():
            run_openmvs(chosen.folder, name, chosen.openmvs)
        print(f"\n{name}\n\n| " + " | ".join(TITLES) + " |\n|" + "---|" * len(TITLES))
        print("\n".join(table(chosen.folder, name)), flush=True)


if __name__ == "__main__":
    main()
