"""Depth of ``hololens_rgbd`` by each model: errors against the true depth, CPU seconds a view.

    python benchmarks/bench_shape_depth.py DATA [--every 8] [--models rmvsnet_own rmvsnet_dtu]

DATA holds ``hololens_rgbd`` and ``weights/mvs``. Every n-th of the 48 reference views, 3 sources,
0.6 to 6 m, 128 planes in 1/depth, images at 544 x 352. The truth is that of the pixel in the
middle of each answer. Below the table: how far the first row is off the others, view by view, with
95 % of 10,000 draws of the views.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from triscope.errors import EmptyData
from triscope.kernel.geometry.cameras import resize_K
from triscope.kernel.results import Depth
from triscope.shape.evaluation import depth_errors, truth_at
from triscope.shape.formats import open_scene
from triscope.shape.refinement import refined
from triscope.shape.scene import Scene
from triscope.shape.stereo import stereo
from triscope.shape.warp import planes

FILES = {
    "rmvsnet_dtu": "RMVSNet-Pytorch/RMVSNet-pretrained.pth",
    "aa_rmvsnet": "AA-RMVSNet/model_blended_v2.ckpt",
    "patchmatchnet": "PatchmatchNet/params_000007.ckpt",
}
SIZE = (352, 544)
Rows = list[tuple[Depth, Any, float]]  # depth, truth, CPU seconds of each view


def resized(scene: Scene, numbers: set[int]) -> Scene:
    """The views that take part, at the size of the stored answers."""
    views = list(scene.views)
    for i in numbers:
        view = views[i]
        image = cv2.resize(view.read(), SIZE[::-1], interpolation=cv2.INTER_AREA)
        K = resize_K(view.K, view.size, SIZE)
        views[i] = replace(view, image=image, K=K, size=SIZE)
    return scene.with_(views=tuple(views))


def variants(name: str, model: Any, views: Any, alone: bool) -> Iterator[tuple[str, Depth]]:
    """What a model answers for one reference: for R-MVSNet also without and with refinement."""
    prepared, K, poses, depths, greys = views
    if alone or not name.startswith("rmvsnet"):
        yield name, model.match(prepared, K, poses, depths)
        return
    model.settings = replace(model.settings, between=False)
    yield f"{name}, planes only", model.match(prepared, K, poses, depths)
    model.settings = replace(model.settings, between=True)
    between = model.match(prepared, K, poses, depths)
    yield f"{name}, between the planes", between
    yield f"{name}, refined", refined(between, greys, K, poses, depths)


def run(data: Path, name: str, every: int, alone: bool) -> tuple[dict[str, Rows], float]:
    """What one model answers, by name and variant; CPU seconds of the features of an image."""
    given = {"weights": str(data / "weights" / "mvs" / FILES[name])} if name in FILES else {}
    given = {"weights": "own"} if name.endswith("_own") else given
    model = stereo(name.partition("_own")[0].partition("_dtu")[0], given)
    scene = open_scene(data / "hololens_rgbd")
    wanted = sorted(i for i, s in scene.sources.items() if len(s) >= 3)[::every]
    used = {j for i in wanted for j in (i, *(k for k, _ in scene.sources[i][:3]))}
    scene = resized(scene, used)
    start = time.process_time()
    prepared = {i: model.prepare(scene.views[i].read()) for i in used}
    features = (time.process_time() - start) / len(used)
    found: dict[str, Rows] = {}
    depths = planes(0.6, 6.0, 128)
    for i in wanted:
        numbers = [i, *(k for k, _ in scene.sources[i][:3])]
        views = (
            [prepared[j] for j in numbers],
            np.stack([scene.views[j].K for j in numbers]),
            np.stack([scene.views[j].cam_T_world for j in numbers]),
            depths,
            [cv2.cvtColor(scene.views[j].read(), cv2.COLOR_RGB2GRAY) for j in numbers],
        )
        truth = scene.views[i].true_depth()
        assert truth is not None
        start = time.process_time()
        for label, depth in variants(name, model, views, alone):
            cpu = time.process_time() - start
            small = truth_at(truth, depth.values.shape)
            found.setdefault(label, []).append((depth, small, cpu))
            start = time.process_time()
    return found, features


def difference(one: Rows, other: Rows) -> str:
    """By how much the first is off from the other, with 95 % of the draws of the views."""
    pairs = [
        [depth_errors(depth.values, truth) for depth, truth, _ in rows] for rows in (one, other)
    ]
    drawn = np.random.default_rng(0).integers(len(one), size=(10_000, len(one)))
    cells = []
    for what in ("median_rel", "within_5"):
        a, b = (np.array([getattr(e, what) for e in errors]) for errors in pairs)
        low, high = np.quantile((a - b)[drawn].mean(1), [0.025, 0.975])
        cells.append(f"{what} {100 * (a - b).mean():+.2f} ({100 * low:+.2f} to {100 * high:+.2f})")
    return ", ".join(cells) + " points"


def _row(label: str, rows: Rows, features: float) -> str:
    """One row: all pixels, then the share within 5 % of those above a confidence."""
    errors = [depth_errors(depth.values, truth) for depth, truth, _ in rows]
    cells = [
        label,
        str(len(rows)),
        f"{100 * np.mean([e.median_rel for e in errors]):.2f} %",
        f"{100 * np.mean([e.within_5 for e in errors]):.1f} %",
        f"{100 * np.mean([e.known for e in errors]):.0f} %",
        *(_sure(rows, least) for least in CONFIDENT),
        f"{np.mean([cpu for *_, cpu in rows]):.2f} + {features:.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


def _sure(rows: Rows, least: float) -> str:
    found, kept = [], []
    for depth, truth, _ in rows:
        sure = depth.confidence > least
        kept.append(sure[truth > 0].mean())
        try:
            found.append(depth_errors(depth.values, truth, sure).within_5)
        except EmptyData:
            continue
    return f"{100 * np.mean(found):.1f} % ({100 * np.mean(kept):.0f} %)" if found else "-"


CONFIDENT = (0.3, 0.5, 0.8)
TITLES = ("model", "views", "median relative error", "within 5 %", "answered",
          *(f"confidence above {c}: within 5 % (of pixels)" for c in CONFIDENT),
          "CPU s a view + an image")  # fmt: skip

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--every", type=int, default=8)
    known = ["rmvsnet_own", "mvsnet_own", "zncc_sweep", *FILES]
    parser.add_argument("--models", nargs="+", default=known)
    parser.add_argument("--alone", action="store_true", help="R-MVSNet between the planes only")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    print("| " + " | ".join(TITLES) + " |")
    print("|" + "---|" * len(TITLES))
    all_found: dict[str, Rows] = {}
    for one in chosen.models:
        rows_of, seconds = run(chosen.data, one, chosen.every, chosen.alone)
        for label, rows in rows_of.items():
            print(_row(label, rows, seconds), flush=True)
        all_found |= rows_of
    first, *others = all_found
    for label in others:
        print(f"{first} - {label}: {difference(all_found[first], all_found[label])}")
