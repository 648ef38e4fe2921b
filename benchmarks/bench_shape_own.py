"""The weights of R-MVSNet in the package on generated scenes that no training has met.

    python -m benchmarks.bench_shape_own [--rooms 12] [--parts 6] [--models rmvsnet_own ...]

Rooms and parts of seeds from 1,000,000 on at 320 x 256, four views each, the first one against the
other three, 64 planes in 1/depth. Beside them the authors' DTU weights and ``zncc_sweep``.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.bench_shape_peers import WEIGHTS
from benchmarks.data import DATA
from triscope.shape.evaluation import depth_errors, truth_at
from triscope.shape.lessons import APART, part, room
from triscope.shape.scene import Scene
from triscope.shape.stereo import stereo
from triscope.shape.warp import planes

SIZE, PLANES = (256, 320), 64
MODELS = ("rmvsnet_own", "rmvsnet_dtu", "zncc_sweep")


def errors_of(scene: Scene, model: Any) -> Any:
    """Errors of the first view's depth."""
    views = scene.views
    ends = scene.ranges[0]
    depth = model.match(
        [model.prepare(view.read()) for view in views],
        np.stack([view.K for view in views]),
        np.stack([view.cam_T_world for view in views]),
        planes(ends.near, ends.far, PLANES),
    )
    truth = views[0].true_depth()
    assert truth is not None
    return depth_errors(depth.values, truth_at(truth, depth.values.shape))


def row(name: str, kind: str, found: list[Any], cpu: float) -> str:
    """Means over scenes; a model that leaves pixels out is judged on those it answers."""
    cells = [name, kind, str(len(found)), f"{np.mean([e.median_rel for e in found]):.3%}"]
    for share in ("within_1", "within_5", "known"):
        cells.append(f"{np.mean([getattr(e, share) for e in found]):.1%}")
    return "| " + " | ".join([*cells, f"{cpu:.2f}"]) + " |"


def main() -> None:
    """Make the scenes, ask every model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rooms", type=int, default=12)
    parser.add_argument("--parts", type=int, default=6)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    scenes = {
        "rooms": [room(APART + i, SIZE) for i in range(chosen.rooms)],
        "parts": [part(APART + 500 + i, SIZE) for i in range(chosen.parts)],
    }
    print("| model | scenes | count | median error | within 1 % | 5 % | answered | CPU s a view |")
    print("|---|---|---|---|---|---|---|---|")
    for name in chosen.models:
        given = (
            {"weights": str(DATA / "weights" / "mvs" / WEIGHTS[name])} if name in WEIGHTS else {}
        )
        given = {"weights": "own"} if name == "rmvsnet_own" else given
        model = stereo(name.partition("_own")[0].partition("_dtu")[0], given)
        for kind, some in scenes.items():
            start = time.process_time()
            found = [errors_of(scene, model) for scene in some]
            print(row(name, kind, found, (time.process_time() - start) / len(some)), flush=True)


if __name__ == "__main__":
    main()
