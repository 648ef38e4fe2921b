"""Masks in MATLAB files: ``groundTruth.Segmentation``, where 1 is background (CrackForest)."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadLabels, needs_extra
from triscope.kernel.data.source import read_bytes


@dataclass(frozen=True)
class MatMask:
    """Read when it is needed."""

    source: str | Path

    def decode(self) -> NDArray[np.bool_]:
        """True where the segmentation is above 1, bool (h, w)."""
        try:
            from scipy.io import loadmat
        except ImportError as error:
            raise needs_extra("reading masks from .mat files", "formats", "scipy") from error
        try:
            truth = loadmat(io.BytesIO(read_bytes(self.source)))["groundTruth"]
            parts = np.asarray(truth["Segmentation"][0, 0])
            if parts.ndim != 2 or not np.issubdtype(parts.dtype, np.number):
                raise ValueError(f"Segmentation is {parts.dtype} {parts.shape}")
        except Exception as error:  # loadmat raises what it likes on damaged files
            raise BadLabels(
                f"{self.source}: expected a MATLAB file with groundTruth.Segmentation (h, w): "
                f"{type(error).__name__}: {error}."
            ) from error
        return np.asarray(parts > 1)
