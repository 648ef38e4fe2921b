"""R-MVSNet at 1600 x 1184 without PyTorch: an exported check's features and the compiled sweep.

    python -m benchmarks.side_shape_large FOLDER [--planes 256] [--views 5]

FOLDER holds ``features.onnx`` and ``weights.safetensors``: a check of ``rmvsnet``, or what
``--write`` puts there first. Prints a line of JSON: CPU seconds and the peak of this process.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from benchmarks.measure import clock, peak_mb
from triscope.kernel.runtime.engine import OnnxEngine
from triscope.shape.recurrent import GRAPH, Exported, Settings
from triscope.shape.tensors import read_tensors
from triscope.shape.warp import planes

WEIGHTS = "weights.safetensors"


def rig(views: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Cameras side by side."""
    h, w = size
    K = np.array([[1.1 * w, 0, (w - 1) / 2], [0, 1.1 * w, (h - 1) / 2], [0, 0, 1.0]])
    poses = np.stack([np.eye(4)] * views)
    poses[:, 0, 3] = 0.3 * np.arange(views)
    return np.stack([K] * views), poses


def write(folder: Path) -> None:
    """The files of an exported check, from the weights in the package; this needs PyTorch."""
    from safetensors.torch import save_file

    from triscope.shape.models.rmvsnet import Rmvsnet

    model = Rmvsnet(Settings(weights="own"))
    model.graph_files(folder)
    tensors = {name: v.contiguous() for name, v in model.network().state_dict().items()}
    save_file(tensors, str(folder / WEIGHTS))


def main() -> None:
    """Prepare all views, match the first with the others."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--planes", type=int, default=256)
    parser.add_argument("--views", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--size", type=int, nargs=2, default=(1184, 1600))
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    if chosen.write:
        chosen.folder.mkdir(parents=True, exist_ok=True)
        write(chosen.folder)
        return
    size = (chosen.size[0], chosen.size[1])
    engine = OnnxEngine(chosen.folder / f"{GRAPH}.onnx", chosen.threads)
    weights = read_tensors(chosen.folder / WEIGHTS)
    model = Exported(Settings(threads=chosen.threads), engine, weights)
    rng = np.random.default_rng(0)
    K, poses = rig(chosen.views, size)
    with clock() as features:
        image = rng.integers(0, 256, (*size, 3), np.uint8)
        prepared = [model.prepare(np.roll(image, 9 * i, 1)) for i in range(chosen.views)]
    with clock() as swept:
        depth = model.match(prepared, K, poses, planes(2.0, 10.0, chosen.planes))
    assert depth.values.shape == (-(-size[0] // 4), -(-size[1] // 4))
    said = {
        "features_cpu_s": round(features.cpu_s, 2), "features_wall_s": round(features.wall_s, 2),
        "features_peak_mb": round(features.peak_mb),
        "sweep_cpu_s": round(swept.cpu_s, 2), "sweep_wall_s": round(swept.wall_s, 2),
        "peak_mb": round(peak_mb()), "torch": "torch" in sys.modules,
    }  # fmt: skip
    print(json.dumps(said))


if __name__ == "__main__":
    main()
