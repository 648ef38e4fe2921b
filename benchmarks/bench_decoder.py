"""The prompt decoder beside the published graph in ONNX Runtime: CPU milliseconds of one thread.

``python -m benchmarks.bench_decoder PUBLISHED.onnx OURS.onnx``: of one network, alternating,
the least of several runs. The published graph always draws full-size masks; ours is asked not to.
"""

from __future__ import annotations

import sys
from time import process_time
from typing import Any

import numpy as np
import onnxruntime

from benchmarks.machine import machine

TIMES = 8
OUTPUTS = ["low_res_masks", "iou_predictions"]


def inputs(session: Any, draws: bool) -> dict[str, Any]:
    """One click on one embedding, of the shapes that the graph asks for."""
    shapes = {one.name: one.shape for one in session.get_inputs()}
    mask = shapes["mask_input"][-1]
    return {
        "image_embeddings": np.random.default_rng(0)
        .standard_normal(shapes["image_embeddings"])
        .astype(np.float32),
        "point_coords": np.array([[[500, 375], [0, 0]]], np.float32),
        "point_labels": np.array([[1, -1]], np.float32),
        "mask_input": np.zeros((1, 1, mask, mask), np.float32),
        "has_mask_input": np.zeros(1, np.float32),
        "orig_im_size": np.array([534, 800] if draws else [0, 0], np.float32),
    }


def main(published: str, ours: str) -> None:
    """Least CPU milliseconds of each, and how far their logits differ."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sides = {
        "published": (onnxruntime.InferenceSession(published, options), True),
        "ours": (onnxruntime.InferenceSession(ours, options), False),
    }
    best, found = dict.fromkeys(sides, np.inf), {}
    for turn in range(TIMES + 1):
        for name, (session, draws) in sides.items():
            given = inputs(session, draws)
            start = process_time()
            found[name] = session.run(OUTPUTS, given)[0]
            if turn:
                best[name] = min(best[name], process_time() - start)
    print(machine())
    for name, seconds in best.items():
        print(f"{name:10} {1000 * seconds:6.1f} CPU-ms {best['published'] / seconds:5.2f}x")
    a, b = found["published"], found["ours"]
    print(f"largest difference of logits {np.abs(a - b).max() / np.abs(a).max():.1e}")


if __name__ == "__main__":
    main(*sys.argv[1:])
