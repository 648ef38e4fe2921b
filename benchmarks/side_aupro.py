"""One side of ``bench_aupro``: ``python -m benchmarks.side_aupro WHO FOLDER TIMES``.

WHO is ``stream``, ``exact`` (ours) or ``anomalib``. The maps of the folder are added TIMES over.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from benchmarks.measure import clock, peak_mb


def main(who: str, folder: str, times: str) -> None:
    """Add the maps and answer AUPRO; print figures."""
    files = sorted(Path(folder).glob("*.npz"))
    metric = Anomalib() if who == "anomalib" else Ours(exact=who == "exact")
    before, cpu_s = peak_mb(), 0.0
    for file in files * int(times):
        with np.load(file) as arrays:
            heat, mask = arrays["heat"], arrays["mask"]
        with clock() as used:  # reading the file is not the metric's
            metric.add(heat, mask)
        cpu_s += used.cpu_s
    with clock() as used:
        value = metric.answer()
    figures = {"aupro": value, "cpu_s": cpu_s + used.cpu_s, "grown_mb": peak_mb() - before}
    print(json.dumps(figures))


class Ours:
    """Triscope."""

    def __init__(self, exact: bool) -> None:
        from triscope.kernel.metrics import Pixels

        self.pixels = Pixels(exact=exact)

    def add(self, heat: np.ndarray, mask: np.ndarray) -> None:
        """One image."""
        self.pixels.add(heat, mask if mask.any() else None)

    def answer(self) -> float:
        """AUPRO up to FPR 0.3."""
        return self.pixels.aupro(0.3).value


class Anomalib:
    """anomalib, as its evaluator does: update with each batch, compute at the end."""

    def __init__(self) -> None:
        import torch
        from anomalib.metrics.aupro import _AUPRO

        torch.set_num_threads(1)
        self.tensor = torch.tensor
        self.metric = _AUPRO(fpr_limit=0.3)

    def add(self, heat: np.ndarray, mask: np.ndarray) -> None:
        """One image."""
        self.metric.update(self.tensor(heat)[None], self.tensor(mask)[None].int())

    def answer(self) -> float:
        """AUPRO up to FPR 0.3."""
        return float(self.metric.compute())


if __name__ == "__main__":
    main(*sys.argv[1:])
