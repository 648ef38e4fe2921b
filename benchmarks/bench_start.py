"""How long a person waits for nothing: help, the runtime's import, opening a check.

Claims: ``triscope --help`` 0.3 s; ``import triscope.kernel.runtime`` with its engine 0.5 s and
100 MB; opening a check 1 s. ``python -m benchmarks.bench_start``
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks import page
from benchmarks.measure import Run, run

ROUNDS = 7
TOLD = (
    "import json; from benchmarks.measure import peak_mb; print(json.dumps({'peak_mb': peak_mb()}))"
)
SMALL = """
import sys, triscope
from benchmarks.data import items
parts = [item.image for item in items("hazelnut_toy", "train")]
triscope.fit("patchcore", parts, calibrate=0).save(sys.argv[1])
"""
HELP = "from triscope.cli import main; main()"
OPEN = """
import sys, triscope
triscope.open(sys.argv[1])
"""


def main() -> None:
    """Measure and write the section."""
    with tempfile.TemporaryDirectory() as folder:
        check = str(Path(folder) / "check")
        run([sys.executable, "-c", SMALL, check])
        sides = {
            "`python -c pass`": [sys.executable, "-c", f"pass\n{TOLD}"],
            "`triscope --help`": [sys.executable, "-c", HELP, "--help"],
            "runtime import": [sys.executable, "-c", f"{RUNTIME}\n{TOLD}"],
            "opening a check": [sys.executable, "-c", f"{OPEN}\n{TOLD}", check],
        }
        for command in sides.values():
            run(command)  # files are in memory, byte code is written
        runs = {name: [_run(command) for _ in range(ROUNDS)] for name, command in sides.items()}
    print(page.write(section(runs)))


RUNTIME = "import triscope.kernel.runtime, onnxruntime, cv2, numpy"
AIMS = {
    "`triscope --help`": (0.3, None),
    "runtime import": (0.5, 100),
    "opening a check": (1.0, None),
}


def _run(command: list[str]) -> Run:
    return run(command, says=TOLD in command[2])


def section(runs: dict[str, list[Run]]) -> page.Section:
    """The table from the runs."""
    rows, short = [], []
    for name, found in runs.items():
        cpu = statistics.median(one.cpu_s for one in found)
        wall = statistics.median(one.wall_s for one in found)
        peaks = [one.said["peak_mb"] for one in found if one.said]
        peak = statistics.median(peaks) if peaks else None
        seconds, megabytes = AIMS.get(name, (None, None))
        rows.append(
            (
                name,
                f"{cpu:.2f}",
                f"{wall:.2f}",
                "" if peak is None else f"{peak:.0f} MB",
                "" if seconds is None else f"{seconds:g} s",
            )
        )
        if seconds is not None and cpu > seconds:
            short.append(f"{name}: {cpu:.2f} s, {seconds:g} s were the aim.")
        if megabytes is not None and peak is not None and peak > megabytes:
            short.append(f"{name}: {peak:.0f} MB, {megabytes} MB were the aim.")
    return page.Section(
        "start",
        "Starting",
        "A process each, median of seven, files in memory; CPU seconds of one thread, wall seconds "
        "on a machine that did other things too. Opening runs the golden input and checks all "
        "hashes; the check is a PatchCore over `scattering`, 256 × 256, fitted on `hazelnut_toy`.",
        ("", "CPU s", "wall s", "peak memory", "aim"),
        rows,
        "python -m benchmarks.bench_start",
        short,
    )


if __name__ == "__main__":
    main()
