"""AUPRO of 83 maps of 448 x 448 pixels: ours, streaming and exact, against anomalib's.

Claim: at least 20 times faster, wrong by no more than 1e-3, memory that does not grow with the
number of images. ``python -m benchmarks.bench_aupro``
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks import page, peers
from benchmarks.data import difference_maps
from benchmarks.measure import Run, alternating, child, middle

ROUNDS = 3
FASTER, WRONG = 20, 1e-3


def main() -> None:
    """Measure and write the section."""
    with tempfile.TemporaryDirectory() as folder:
        for i, (heat, mask) in enumerate(difference_maps()):
            np.savez(Path(folder) / f"{i:03d}.npz", heat=heat, mask=mask)
        other = peers.python()

        def side(who: str, times: int = 1) -> Run:
            return child(
                "side_aupro", who, folder, times, python=other if who == "anomalib" else None
            )

        runs = alternating(
            ROUNDS,
            stream=lambda: side("stream"),
            exact=lambda: side("exact"),
            anomalib=lambda: side("anomalib"),
        )
        twice = {who: side(who, 2) for who in runs}
        print(page.write(section(runs, twice)))


def section(runs: dict[str, list[Run]], twice: dict[str, Run]) -> page.Section:
    """The table from the runs; ``twice`` saw every map two times."""
    theirs, exact = middle(runs["anomalib"], "cpu_s"), runs["exact"][0].said["aupro"]
    rows, ratio, wrong = [], 0.0, 0.0
    names = {
        "stream": "Triscope, streaming",
        "exact": "Triscope, exact",
        "anomalib": "anomalib 2.7",
    }
    for who, name in names.items():
        seconds, value = middle(runs[who], "cpu_s"), runs[who][0].said["aupro"]
        if who == "stream":
            ratio, wrong = theirs / seconds, abs(value - exact)
        once, double = middle(runs[who], "grown_mb"), twice[who].said["grown_mb"]
        rows.append(
            (
                name,
                f"{seconds:.3f}",
                f"{theirs / seconds:.1f}×",
                f"{value:.6f}",
                f"{abs(value - exact):.1e}",
                f"{once:.0f} MB",
                f"{double:.0f} MB",
            )
        )
    short = []
    if ratio < FASTER:
        short.append(f"{ratio:.1f} times faster, {FASTER} were the aim.")
    if wrong > WRONG:
        short.append(f"Wrong by {wrong:.1e}, {WRONG} was the aim.")
    return page.Section(
        "aupro",
        "AUPRO of 83 maps of 448 × 448",
        "FPR ≤ 0.3, maps of a plain detector (distance from the mean good picture) on the test "
        "images of `mvtec_bottle`, with their masks. The error is that against the exact value; "
        "memory is what the metric added to the process, also with every map given twice.",
        ("", "CPU s", "faster", "AUPRO", "error", "memory, 83 maps", "memory, 166 maps"),
        rows,
        "python -m benchmarks.bench_aupro",
        short,
    )


if __name__ == "__main__":
    main()
