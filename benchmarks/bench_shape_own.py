"""The weights of R-MVSNet and MVSNet in the package on generated scenes that no training has met.

    python -m benchmarks.bench_shape_own [--rooms 12] [--parts 6] [--models rmvsnet_own ...]
    python -m benchmarks.bench_shape_own --choosing [--models rmvsnet_own FILE.safetensors ...]

Rooms and parts of seeds from 1,000,000 on at 320 x 256, four views each, the first one against the
other three, 64 planes in 1/depth. Beside them the authors' DTU weights and ``zncc_sweep``.
``--choosing``: scenes of seeds from 1,500,000 on, by which weights are chosen; eight rooms, the
same rooms hard (photos apart in exposure, colour, focus and noise, 128 planes from 0.6 of the
nearest to twice the farthest depth), eight parts and eight heaps.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.bench_shape_peers import WEIGHTS
from benchmarks.data import DATA
from triscope.shape.evaluation import depth_errors, truth_at
from triscope.shape.lessons import APART, alone, part, room
from triscope.shape.scene import Scene
from triscope.shape.stereo import stereo
from triscope.shape.variety import Taking
from triscope.shape.warp import planes

SIZE, PLANES = (256, 320), 64
CHOOSING, EACH = 1_500_000, 8  # the seeds of the scenes by which weights are chosen; of each kind
MODELS = ("rmvsnet_own", "mvsnet_own", "rmvsnet_dtu", "zncc_sweep")


@dataclass(frozen=True)
class Case:
    """A scene, its photos as they are taken, and the planes that it is swept with."""

    scene: Scene
    photos: list[Any]
    depths: Any


def plain(scene: Scene) -> Case:
    """As it is, swept over what is there."""
    ends = scene.ranges[0]
    photos = [view.read() for view in scene.views]
    return Case(scene, photos, planes(ends.near, ends.far, PLANES))


def hard(scene: Scene, seed: int) -> Case:
    """Photos apart, and a range that nobody chose for this scene."""
    rng, ends = np.random.default_rng([seed, 89]), scene.ranges[0]
    taking = Taking(mirrored=False, negative=False, channels=np.arange(3))
    photos = [taking.photo(view.read(), rng) for view in scene.views]
    return Case(scene, photos, planes(0.6 * ends.near, 2 * ends.far, 2 * PLANES))


def errors_of(case: Case, model: Any) -> Any:
    """Errors of the first view's depth."""
    views = case.scene.views
    depth = model.match(
        [model.prepare(photo) for photo in case.photos],
        np.stack([view.K for view in views]),
        np.stack([view.cam_T_world for view in views]),
        case.depths,
    )
    truth = views[0].true_depth()
    assert truth is not None
    return depth_errors(depth.values, truth_at(truth, depth.values.shape))


def to_choose() -> dict[str, list[Case]]:
    """The cases by which weights are chosen."""
    seeds = [CHOOSING + i for i in range(EACH)]
    rooms = [room(seed, SIZE) for seed in seeds]
    return {
        "rooms": [plain(scene) for scene in rooms],
        "hard rooms": [hard(scene, seed) for scene, seed in zip(rooms, seeds, strict=True)],
        "parts": [plain(part(seed, SIZE)) for seed in seeds],
        "heaps": [plain(alone(seed, SIZE)) for seed in seeds],
    }


def to_judge(rooms: int, parts: int) -> dict[str, list[Case]]:
    """The cases on which nothing is chosen."""
    return {
        "rooms": [plain(room(APART + i, SIZE)) for i in range(rooms)],
        "parts": [plain(part(APART + 500 + i, SIZE)) for i in range(parts)],
    }


def loaded(name: str) -> Any:
    """A model by its name here, or the one that a file begins with, with its weights."""
    kind = Path(name).name.partition("_")[0]
    if name.endswith(".safetensors"):
        return stereo(kind if kind == "mvsnet" else "rmvsnet", {"weights": name})
    given = {"weights": str(DATA / "weights" / "mvs" / WEIGHTS[name])} if name in WEIGHTS else {}
    given = {"weights": "own"} if name.endswith("_own") else given
    return stereo(name.partition("_own")[0].partition("_dtu")[0], given)


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
    parser.add_argument("--choosing", action="store_true")
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    cases = to_choose() if chosen.choosing else to_judge(chosen.rooms, chosen.parts)
    print("| model | scenes | count | median error | within 1 % | 5 % | answered | CPU s a view |")
    print("|---|---|---|---|---|---|---|---|")
    for name in chosen.models:
        model = loaded(name)
        for kind, some in cases.items():
            start = time.process_time()
            found = [errors_of(case, model) for case in some]
            print(row(name, kind, found, (time.process_time() - start) / len(some)), flush=True)


if __name__ == "__main__":
    main()
