"""The regression set: defects that every new version of a check must still catch. No torch.

Copies of the images lie in the check folder, so that they are there when the originals are gone.
Caught means: not passed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np

from triscope.errors import CheckDamaged, RegressionFailed
from triscope.kernel.data import Sample, fingerprint
from triscope.kernel.data.source import read_bytes
from triscope.kernel.results import Inspection, Skipped
from triscope.kernel.runtime.card import CARD
from triscope.kernel.runtime.check import Check
from triscope.kernel.runtime.seen import Seen, SeenImage, read_seen

PREFIX = "regression-"


def samples_of(check: Check, folder: Path | None = None) -> list[Sample]:
    """The images of the regression set, read from their copies."""
    place = folder or check.folder
    images = check.seen.of("regression")
    if images and place is None:
        raise CheckDamaged(f"{check.label} has a regression set but no folder.")
    return [Sample((place or Path()) / i.file, i.name, i.label) for i in images]


def not_caught(check: Check, samples: Iterable[Sample]) -> list[Inspection | Skipped]:
    """Those that pass, or cannot be read."""
    return [
        found
        for found in check.inspect_many(samples)
        if isinstance(found, Skipped) or found.verdict.outcome == "pass"
    ]


def must_catch(check: Check, folder: Path) -> None:
    """Raise RegressionFailed where a defect of the regression set passes."""
    missed = not_caught(check, samples_of(check, folder))
    if missed:
        shown = ", ".join(_told(found) for found in missed[:3])
        raise RegressionFailed(
            f"{len(missed)} of {len(check.seen.of('regression'))} defects that must be caught "
            f"would pass: {shown}{', ...' if len(missed) > 3 else ''}. The version in force stays."
        )


def inherit_regression(check: Check, target: Path) -> None:
    """Take over the regression set of the version that is about to be replaced."""
    if not (target / CARD).is_file():
        return
    known = {image.hash for image in check.seen.of("regression")}
    for image in read_seen(target).of("regression"):
        if image.hash not in known:
            check.seen.take(image)


def copy_regression(seen: Seen, sources: Sequence[Path], target: Path) -> None:
    """Bring the copies of a regression set into a new folder; linked where the disk can."""
    for image in seen.of("regression"):
        if (target / image.file).exists():
            continue
        path = next((s / image.file for s in sources if (s / image.file).is_file()), None)
        if path is None:
            raise CheckDamaged(f"{image.file} of the regression set is not in {sources[0]}.")
        try:
            os.link(path, target / image.file)
        except OSError:
            shutil.copy2(path, target / image.file)


def store(sample: Sample, folder: Path) -> SeenImage:
    """Put a copy of an image into a folder, named by its content."""
    code = fingerprint(sample.source)
    if isinstance(sample.source, np.ndarray):
        name, data = f"{PREFIX}{code}.png", _png(sample.source)
    else:
        ending = Path(str(sample.source).split("::", 1)[0]).suffix.lower()
        name, data = f"{PREFIX}{code}{ending}", read_bytes(sample.source)
    if not (folder / name).exists():
        (folder / name).write_bytes(data)
    return SeenImage(-1, sample.name, "", code, "regression", sample.label or "defect", name)


def _png(image: np.ndarray) -> bytes:
    shown = image[..., :3] if image.ndim == 3 else image
    if shown.ndim == 3:
        shown = cv2.cvtColor(np.ascontiguousarray(shown), cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", shown)[1].tobytes()


def _told(found: Inspection | Skipped) -> str:
    if isinstance(found, Skipped):
        return f"{found.source} ({found.error})"
    return f"{found.source} (score {found.score:.4g})"
