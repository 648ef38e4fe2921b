"""Drawings of boundaries in BSDS files: ``groundTruth``, a list with ``Boundaries`` (h, w) each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadLabels, needs_extra


def drawings_of(path: Path) -> list[NDArray[np.bool_]]:
    """Each person's boundaries, bool (h, w)."""
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise needs_extra("reading drawings from .mat files", "formats", "scipy") from error
    try:
        people = np.atleast_2d(loadmat(str(path))["groundTruth"])
        found = [np.asarray(one["Boundaries"][0, 0]) > 0 for one in people.ravel()]
    except Exception as error:  # loadmat raises what it likes on damaged files
        raise BadLabels(
            f"{path}: expected a MATLAB file with groundTruth{{k}}.Boundaries (h, w): "
            f"{type(error).__name__}: {error}."
        ) from error
    return found
