"""Folders of very many small label files: is memory constant, and how long does a file take?

``python -m benchmarks.bench_shards [COUNT]``: writes COUNT generated records (100,000) as SA-1B
shards, reads them, and writes them on as COCO and reads that. Each step is a
process of its own, and runs for a hundredth of COUNT beside it: peaks are of the resident set.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.machine import machine
from benchmarks.measure import clock, peak_mb, run
from triscope.kernel.geometry.rle import Rle
from triscope.segment.formats import convert, read, writer
from triscope.segment.formats.record import Mask, Record

SIZE = (48, 64)


def records(count: int) -> Iterator[Record]:
    """Images of 64x48 pixels with one to three boxes and discs as masks."""
    y, x = np.ogrid[: SIZE[0], : SIZE[1]]
    for i in range(count):
        rng = np.random.default_rng(i)
        masks = []
        for cx, cy, radius in rng.uniform((5, 5, 2), (59, 43, 12), (int(rng.integers(1, 4)), 3)):
            disc = (x - cx) ** 2 + (y - cy) ** 2 <= radius**2
            masks.append(Mask(Rle.encode(np.asarray(disc)), str(rng.choice(["bolt", "nut"]))))
        yield Record(f"{i:07d}.jpg", SIZE, tuple(masks))


def step(name: str, place: Path, count: int) -> int:
    """One step, by its name: ``write sa1b``, ``read coco``, ``sa1b to yolo``."""
    words = name.split()
    if words[0] == "write":
        with writer(words[1], place / words[1]) as out:
            for record in records(count):
                out.add(record)
        return out.count
    if words[0] == "read":
        return sum(1 for _ in read(words[1], place / words[1]))
    return convert(place / words[0], words[0], place / words[2], words[2])


STEPS = ("write sa1b", "read sa1b", "sa1b to coco", "read coco")


def main(count: int) -> None:
    """The table."""
    print(machine())
    for name in STEPS:
        print(f"{name:14}", end="", flush=True)
        for total in (count // 100, count):
            place = PLACES / str(total)
            place.mkdir(exist_ok=True)
            words = ["step", name, place, total]
            command = [sys.executable, "-m", "benchmarks.bench_shards", *map(str, words)]
            said = run(command, says=True).said
            assert said["count"] == total, said
            each = 1e6 * said["cpu"] / total
            print(f" {total:7d}: peak {said['peak']:6.1f} MB {each:6.0f} us a file", end="")
        print(flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["step"]:
        with clock() as used:
            done = step(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
        print(json.dumps({"count": done, "cpu": used.cpu_s, "peak": peak_mb()}))
    else:
        with TemporaryDirectory() as folder:
            PLACES = Path(folder)
            main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
