"""Our side of the comparisons of PatchCore.

``python -m benchmarks.side_triscope fit DATASET KEEP FOLDER`` fits and evaluates, then saves the
check into the folder; ``... halves DATASET KEEP FOLDER`` writes its copy in half floats beside it
and evaluates both; ``... inspect DATASET KEEP FOLDER`` opens a check and times it from file to
verdict.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import Detector, figures
from benchmarks.data import MOBILENET, TIMED, items
from benchmarks.measure import clock, peak_mb, timed


def main(task: str, dataset: str, keep: str, folder: str) -> None:
    """Do one task and print its figures."""
    tasks = {
        "fit": lambda: fit(dataset, float(keep), Path(folder)),
        "halves": lambda: halves(dataset, Path(folder)),
        "inspect": lambda: inspect(dataset, Path(folder)),
    }
    print(json.dumps(tasks[task]()))


def fit(dataset: str, keep: float, folder: Path) -> dict[str, Any]:
    """Fit on all training images, nothing held out; figures on the test images."""
    import torch

    import triscope

    torch.set_num_threads(1)
    before = peak_mb()
    files = [item.image for item in items(dataset, "train")]
    settings = {"backbone": "mobilenetv2_100", "weights": str(MOBILENET), "keep": keep}
    with clock() as used:
        check = triscope.fit("patchcore", files, settings, calibrate=0)
    found = {"cpu_s": used.cpu_s, "wall_s": used.wall_s, "peak_mb": used.peak_mb, "before": before}
    found |= figures(detector_of(check), items(dataset, "test"))
    check.save(folder)
    return {**found, "images": len(files)}


def detector_of(check: Any) -> Detector:
    """Heat map and score of an image."""

    def detector(image: NDArray[Any]) -> tuple[NDArray[np.float32], float]:
        heat = check.inspect(image).heatmap
        assert heat is not None
        return heat.values, heat.score

    return detector


def halves(dataset: str, folder: Path) -> dict[str, Any]:
    """Export in bf16 into FOLDER.bf16; figures of both on the test images."""
    import triscope

    plain = triscope.open(folder)
    small = plain.export(f"{folder}.bf16", bf16=True)
    test = items(dataset, "test")
    return {
        "fp32": figures(detector_of(plain), test),
        "bf16": figures(detector_of(small), test),
    }


def inspect(dataset: str, folder: Path) -> dict[str, Any]:
    """CPU and wall seconds an image, from the file to the verdict with findings and map."""
    import triscope
    from triscope import Zones

    check = triscope.open(folder)
    files = [item.image for item in items(dataset, "test")][:TIMED]
    scores = np.sort([check.inspect(file).score for file in files[::4]])
    middle = float(scores[len(scores) // 2])  # lines that give all verdicts, and regions
    zones = Zones(middle, float(scores[-3]), pixel_above=middle)
    check.card = check.card.with_(zones=zones)
    return {**timed(check.inspect, files), "peak_mb": peak_mb(), "engine": check.card.engine}


if __name__ == "__main__":
    main(*sys.argv[1:])
