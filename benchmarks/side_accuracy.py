"""One row of ``bench_accuracy``: ``python -m benchmarks.side_accuracy DATASET MODEL BACKBONE DIR``.

A fifth of the good training images is held out for the thresholds; the test images are looked at
once, by the saved check, as the runtime answers.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import figures
from benchmarks.data import MOBILENET, items
from benchmarks.measure import clock


def main(dataset: str, model: str, backbone: str, folder: str) -> None:
    """Fit, calibrate, save, open, evaluate; print figures."""
    import torch

    import triscope
    from triscope.errors import PromiseTooLow

    torch.set_num_threads(1)
    settings: dict[str, Any] = {"backbone": backbone}
    if backbone.startswith("mobilenet"):
        settings["weights"] = str(MOBILENET)
    files = [item.image for item in items(dataset, "train")]
    with clock() as used:
        check = triscope.fit(model, files, settings, calibrate=0.2, seed=0)
    try:
        check.calibrate()
    except PromiseTooLow as error:
        print(error, file=sys.stderr)
    check.save(folder)
    opened = triscope.open(folder)

    def detector(image: NDArray[Any]) -> tuple[NDArray[np.float32], float]:
        heat = opened.inspect(image).heatmap
        assert heat is not None
        return heat.values, heat.score

    found = figures(detector, items(dataset, "test"))
    size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    graph = sum(file.stat().st_size for file in Path(folder).glob("*.onnx*"))
    found |= {"fit_cpu_s": used.cpu_s, "fit_peak_mb": used.peak_mb}
    print(json.dumps({**found, "folder_mb": size / 1e6, "graph_mb": graph / 1e6}))


if __name__ == "__main__":
    main(*sys.argv[1:])
