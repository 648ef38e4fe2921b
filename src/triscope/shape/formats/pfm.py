"""PFM: one float32 map; rows are stored from the bottom up."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError

MAX_VALUES = 2**28


def read_pfm(path: str | Path) -> NDArray[np.float32]:
    """The map (h, w) or (h, w, 3); raises DataError where the file is not one."""
    data = Path(path).read_bytes()
    head = data[:200].split(b"\n", 3)
    words = [line.split() for line in head[:3]]
    if len(head) < 4 or words[0] not in ([b"Pf"], [b"PF"]) or len(words[1]) != 2:
        raise DataError(f"{path} is not a PFM file: expected Pf or PF, then width and height.")
    try:
        w, h, scale = int(words[1][0]), int(words[1][1]), float(words[2][0])
    except (ValueError, IndexError) as error:
        raise DataError(f"{path}: its width, height or scale is no number.") from error
    channels = 3 if words[0] == [b"PF"] else 1
    start = sum(len(line) + 1 for line in head[:3])
    if not (0 < w * h * channels <= MAX_VALUES) or w < 0 or not math.isfinite(scale) or not scale:
        raise DataError(f"{path}: a PFM of {w} x {h} with scale {scale:g} is not read.")
    if len(data) - start < 4 * w * h * channels:
        raise DataError(
            f"{path} is cut off: {w} x {h} needs {4 * w * h * channels} bytes, "
            f"{len(data) - start} are there."
        )
    kind = np.dtype("<f4" if scale < 0 else ">f4")
    values = np.frombuffer(data, kind, w * h * channels, start)
    shape = (h, w, 3) if channels == 3 else (h, w)
    return np.ascontiguousarray(values.reshape(shape)[::-1], np.float32)


def write_pfm(path: str | Path, values: NDArray[np.float32]) -> None:
    """Write a map (h, w) or (h, w, 3), little endian."""
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] != 3):
        raise DataError(f"a PFM holds (h, w) or (h, w, 3), got {values.shape}.")
    h, w = values.shape[:2]
    head = f"{'Pf' if values.ndim == 2 else 'PF'}\n{w} {h}\n-1.0\n".encode()
    Path(path).write_bytes(head + np.ascontiguousarray(values[::-1], "<f4").tobytes())
