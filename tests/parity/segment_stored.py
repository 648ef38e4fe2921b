"""The stored answers of the published Segment Anything, and networks with name-seeded weights."""

from __future__ import annotations

import importlib.util
import json
import zlib
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import triscope
from outside import SHARED
from triscope.segment.models.sam import BUILDERS, Sam

PARITY = SHARED / "parity"
STORED = PARITY / "segment"
MARKS = [
    pytest.mark.real,
    pytest.mark.skipif(not STORED.is_dir(), reason=f"no stored answers at {STORED}"),
]
TOLERANCE = 1e-4
GAUSSIAN = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"


def load(name: str) -> dict[str, Any]:
    return json.loads((STORED / f"{name}.json").read_text())


def arrays(name: str) -> dict[str, NDArray[Any]]:
    with np.load(STORED / f"{name}.npz") as stored:
        return {key: stored[key] for key in stored.files}


def drawn(seed: int, shape: tuple[int, ...]) -> torch.Tensor:
    """The stored runs drew their inputs in float64 and cast them."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def difference(ours: Any, theirs: Any) -> float:
    """The largest difference over the largest stored value."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


@cache
def seeded_weights(name: str) -> dict[str, torch.Tensor]:
    """Weights that depend on the published keys only."""
    spec = importlib.util.spec_from_file_location("seeded", PARITY / "seeded.py")
    assert spec and spec.loader
    seeded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(seeded)
    with torch.device("meta"):
        blank = BUILDERS[name]().state_dict()
    weights = {}
    for key, value in blank.items():
        if key.endswith("num_batches_tracked"):
            weights[key] = torch.zeros((), dtype=torch.int64)
        else:
            weights[key] = torch.from_numpy(seeded.seeded_array(key, value.shape))
    # The stored runs left this one matrix undivided.
    rng = np.random.default_rng(zlib.crc32(GAUSSIAN.encode()))
    weights[GAUSSIAN] = torch.from_numpy(rng.standard_normal((2, 128)).astype(np.float32))
    return weights


@cache
def network(name: str) -> Sam:
    return triscope.published(name, seeded_weights(name))


def size_of(name: str) -> tuple[int, int]:
    h, _, w = name.partition("x")
    return int(h), int(w)


def names_of(file: str) -> list[str]:
    return sorted({key.partition("__")[0] for key in arrays(file)}) if STORED.is_dir() else []
