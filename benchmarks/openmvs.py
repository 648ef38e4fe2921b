"""OpenMVS as a peer: its programs on a scene, and its depth maps read back.

Built from its source (v2.3.0, without CUDA) outside of this repository; ``PROGRAMS`` is the folder
with ``InterfaceCOLMAP`` and ``DensifyPointCloud``. Settings are its own, at the full size of the
photos, with as many neighbours as the others get, on one thread.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.kernel.results import Depth
from triscope.shape.formats.ply import read_ply
from triscope.shape.surface import Cloud

HEADER = struct.Struct("<2sBxIIIIff")  # mark, what it holds, photo w h, map w h, depth range


@dataclass(frozen=True)
class Densified:
    """Depth maps by the names of their photos, the cloud, and what it cost."""

    depths: dict[str, Depth]
    points: NDArray[np.float64]
    cpu_s: float  # of maps and fusion, read-in included
    peak_mb: float


def densified(programs: Path, colmap: Path, folder: Path, sources: int) -> Densified:
    """Run it on ``colmap``: ``photos`` and ``points`` as ``triangulated`` leaves them."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copytree(colmap / "points", folder / "sparse")
    shutil.copytree(colmap / "photos", folder / "images")
    _run(programs / "InterfaceCOLMAP", folder, "-i", ".", "-o", "scene.mvs")
    cpu_s, peak = _run(
        programs / "DensifyPointCloud", folder, "scene.mvs", "-o", "dense.mvs",
        "--resolution-level", 0, "--number-views", sources,
    )  # fmt: skip
    depths = dict(read_dmap(path) for path in sorted(folder.glob("*.dmap")))
    cloud = read_ply(folder / "dense.ply")
    if not isinstance(cloud, Cloud):
        raise SystemExit(f"{folder / 'dense.ply'}: expected a cloud, found a mesh.")
    return Densified(depths, cloud.points, cpu_s, peak)


def read_dmap(path: Path) -> tuple[str, Depth]:
    """The stem of the photo and its depth; ``K`` is that of the photo, as large as the map."""
    data = path.read_bytes()
    mark, _, w, h, columns, rows, _, _ = HEADER.unpack_from(data)
    if mark != b"DR" or (w, h) != (columns, rows):
        raise ValueError(f"{path}: expected a depth map of the size of its photo.")
    at = HEADER.size
    (length,) = struct.unpack_from("<H", data, at)
    name = data[at + 2 : at + 2 + length].decode()
    at += 2 + length
    (views,) = struct.unpack_from("<I", data, at)
    at += 4 + 4 * views
    K = np.frombuffer(data, "<f8", 9, at).reshape(3, 3)
    at += 8 * 21  # K, rotation, centre
    values = np.frombuffer(data, "<f4", w * h, at).reshape(h, w).copy()
    return Path(name).stem, Depth(values, (values > 0).astype(np.float32), K)


def _run(program: Path, folder: Path, *arguments: Any) -> tuple[float, float]:
    """CPU seconds and peak MB of one program."""
    words = [str(program.resolve()), "-w", ".", "--max-threads", "1", *map(str, arguments)]
    log = (folder / f"{program.name}.txt").open("ab")
    with log, subprocess.Popen(words, cwd=folder, stdout=log, stderr=log) as running:
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise SystemExit(f"{' '.join(words)}: failed, see {log.name}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
