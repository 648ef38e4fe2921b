"""Runs a side of a comparison as a process of its own, and reads what it says and used."""

from __future__ import annotations

import json
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Clock:
    """CPU and wall seconds of a block, and by how much the peak of memory grew in it."""

    cpu_s: float = 0.0
    wall_s: float = 0.0
    peak_mb: float = 0.0
    before_mb: float = 0.0


@contextmanager
def clock() -> Iterator[Clock]:
    """Measure a block of this process."""
    found = Clock(before_mb=peak_mb())
    cpu, wall = time.process_time(), time.perf_counter()
    yield found
    found.cpu_s = time.process_time() - cpu
    found.wall_s = time.perf_counter() - wall
    found.peak_mb = peak_mb()


def peak_mb() -> float:
    """Peak resident set of this process so far.

    From ``/proc`` where there is one: the figure of ``getrusage`` begins with that of the parent.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if found:
            return int(found.group(1)) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(answer: Callable[[str], object], files: list[str], warm: int = 3) -> dict[str, float]:
    """Mean CPU and median wall milliseconds a file, after some that do not count."""
    for file in files[:warm]:
        answer(file)
    walls, cpu = [], time.process_time()
    for file in files:
        start = time.perf_counter()
        answer(file)
        walls.append(time.perf_counter() - start)
    each = (time.process_time() - cpu) / len(files)
    return {"cpu_ms": 1000 * each, "wall_ms": 1000 * statistics.median(walls)}


@dataclass(frozen=True)
class Run:
    """What a child printed (its last line, JSON), and what it used in all."""

    said: dict[str, Any]
    cpu_s: float
    wall_s: float
    output: str = field(repr=False, default="")


def child(script: str, *arguments: object, python: Path | None = None, threads: int = 1) -> Run:
    """Run ``benchmarks/SCRIPT`` with its arguments; raises with its words where it fails."""
    command = [str(python or sys.executable), "-m", f"benchmarks.{script}", *map(str, arguments)]
    return run(command, threads=threads, says=True)


def run(command: list[str], *, threads: int = 1, says: bool = False) -> Run:
    """Run a command; its usage is its own, since it is waited for alone."""
    count = str(threads)
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "TRISCOPE_THREADS": count,
        "PYTHONWARNINGS": "ignore",
    }
    start = time.perf_counter()
    with subprocess.Popen(
        command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        out, errors, status, used = _finish(process)
    wall = time.perf_counter() - start
    if status != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {status}:\n{errors[-3000:]}")
    said = json.loads(out.strip().splitlines()[-1]) if says else {}
    return Run(said, used.ru_utime + used.ru_stime, wall, out)


def _finish(process: subprocess.Popen[str]) -> tuple[str, str, int, resource.struct_rusage]:
    import threading

    parts: dict[str, str] = {}

    def read(name: str, stream: Any) -> None:
        parts[name] = stream.read()

    streams = {"out": process.stdout, "err": process.stderr}
    readers = [threading.Thread(target=read, args=item) for item in streams.items()]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return parts["out"], parts["err"], process.returncode, used


def alternating(times: int, **sides: Callable[[], Run]) -> dict[str, list[Run]]:
    """Run the sides in turn, so that a busy moment of the machine meets all of them."""
    found: dict[str, list[Run]] = {name: [] for name in sides}
    for _ in range(times):
        for name, side in sides.items():
            found[name].append(side())
    return found


def middle(runs: list[Run], key: str) -> float:
    """Median of a figure that the children said."""
    return statistics.median(float(run.said[key]) for run in runs)
