"""A data set of painted parts on disk, in the MVTec layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError
from triscope.surface.synth.painting import GOOD, KINDS, SIZE, Painted, paint


@dataclass(frozen=True)
class Counts:
    """How many parts of each kind.

    Good ones to learn from, to calibrate with and to test; bad ones to test, of each type.
    """

    train: int = 40
    calibrate: int = 0
    good: int = 12
    bad: int = 6


def write_set(
    folder: Path,
    kinds: Sequence[str] = tuple(KINDS),
    counts: Counts = Counts(),
    *,
    seed: int = 0,
    size: tuple[int, int] = SIZE,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write ``train/good``, ``test/TYPE`` and ``ground_truth/TYPE`` below ``folder``; return it.

    With ``counts.calibrate`` also ``calibrate/good``.
    A picture depends on the seed, its kind, its type and its number alone, not on the counts.
    """
    plan = list(_plan(kinds, counts))
    for done, (split, kind, defect, number) in enumerate(plan, start=1):
        name = f"{kind}_{number:03d}"
        rng = np.random.default_rng([seed, crc32(f"{split} {kind} {defect} {number}".encode())])
        painted = paint(kind, defect, rng, size)
        _write(folder / split / defect / f"{name}.png", painted.image[..., ::-1])
        if defect != GOOD:
            _write(folder / "ground_truth" / defect / f"{name}_mask.png", _grey(painted))
        progress(done, len(plan))
    return folder


def _plan(kinds: Sequence[str], counts: Counts) -> Iterator[tuple[str, str, str, int]]:
    for kind in kinds:
        good = {"train": counts.train, "calibrate": counts.calibrate, "test": counts.good}
        for split, count in good.items():
            for number in range(count):
                yield split, kind, GOOD, number
        for defect in KINDS[kind]:
            for number in range(counts.bad):
                yield "test", kind, defect, number


def _grey(painted: Painted) -> NDArray[np.uint8]:
    return painted.mask.astype(np.uint8) * np.uint8(255)


def _write(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), pixels):
        raise DataError(f"{path} could not be written: is the disk full, or the folder read-only?")
