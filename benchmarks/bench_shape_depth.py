"""Depth of ``hololens_rgbd`` by each model: errors against the true depth, CPU seconds a view.

    python benchmarks/bench_shape_depth.py DATA [--every 8] [--models rmvsnet zncc_sweep]

DATA holds ``hololens_rgbd`` and ``weights/mvs``. Every n-th of the 48 reference views, 3 sources,
0.6 to 6 m, 128 planes in 1/depth, images at 544 x 352. True depth by nearest neighbour.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from triscope.errors import EmptyData
from triscope.kernel.geometry.cameras import resize_K
from triscope.shape.evaluation import depth_errors
from triscope.shape.formats import open_scene
from triscope.shape.scene import Scene
from triscope.shape.stereo import stereo
from triscope.shape.warp import planes

FILES = {
    "rmvsnet": "RMVSNet-Pytorch/RMVSNet-pretrained.pth",
    "aa_rmvsnet": "AA-RMVSNet/model_blended_v2.ckpt",
    "patchmatchnet": "PatchmatchNet/params_000007.ckpt",
}
SIZE = (352, 544)


def resized(scene: Scene, numbers: set[int]) -> Scene:
    """The views that take part, at the size of the stored answers."""
    views = list(scene.views)
    for i in numbers:
        view = views[i]
        image = cv2.resize(view.read(), SIZE[::-1], interpolation=cv2.INTER_AREA)
        K = resize_K(view.K, view.size, SIZE)
        views[i] = replace(view, image=image, K=K, size=SIZE)
    return scene.with_(views=tuple(views))


def run(data: Path, name: str, every: int, between: bool) -> str:
    """One row of the table."""
    given: dict[str, object] = {}
    if name in FILES:
        given["weights"] = str(data / "weights" / "mvs" / FILES[name])
    if name in ("rmvsnet", "aa_rmvsnet"):
        given["between"] = between
    model = stereo(name, given)
    scene = open_scene(data / "hololens_rgbd")
    wanted = sorted(i for i, s in scene.sources.items() if len(s) >= 3)[::every]
    used = {j for i in wanted for j in (i, *(k for k, _ in scene.sources[i][:3]))}
    scene = resized(scene, used)
    rows, sure_rows, cpu = [], [], 0.0
    depths = planes(0.6, 6.0, 128)
    for i in wanted:
        views = [i, *(k for k, _ in scene.sources[i][:3])]
        start = time.process_time()
        prepared = [model.prepare(scene.views[j].read()) for j in views]
        depth = model.match(
            prepared,
            np.stack([scene.views[j].K for j in views]),
            np.stack([scene.views[j].cam_T_world for j in views]),
            depths,
        )
        cpu += time.process_time() - start
        truth = scene.views[i].true_depth()
        assert truth is not None
        h, w = depth.values.shape
        truth = cv2.resize(truth, (w, h), interpolation=cv2.INTER_NEAREST)
        rows.append(depth_errors(depth.values, truth))
        try:
            sure_rows.append(depth_errors(depth.values, truth, depth.confidence > 0.5))
        except EmptyData:
            continue
    mean = {k: np.mean([r.to_dict()[k] for r in rows]) for k in ("median_rel", "within_5", "known")}
    sure = np.mean([r.within_5 for r in sure_rows]) if sure_rows else float("nan")
    label = name + ("" if between else ", planes only")
    cells = [
        label,
        str(len(rows)),
        f"{100 * mean['median_rel']:.2f} %",
        f"{100 * mean['within_5']:.1f} %",
        f"{100 * sure:.1f} %",
        f"{100 * mean['known']:.0f} %",
        f"{cpu / len(rows):.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


TITLES = ("model", "views", "median relative error", "within 5 %", "within 5 %, confident",
          "answered", "CPU s a view")  # fmt: skip

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--every", type=int, default=8)
    parser.add_argument("--models", nargs="+", default=["rmvsnet", "zncc_sweep", *FILES][1:])
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    print("| " + " | ".join(TITLES) + " |")
    print("|---|---|---|---|---|---|---|")
    for one in chosen.models:
        for between in (True, False) if one == "rmvsnet" else (True,):
            print(run(chosen.data, one, chosen.every, between), flush=True)
