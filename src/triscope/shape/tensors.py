"""Tensors of a ``.safetensors`` file as NumPy arrays: a header in JSON, then the numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.errors import CheckDamaged

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4"}


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """All tensors by name; raises CheckDamaged. No package but NumPy is needed."""
    try:
        content = path.read_bytes()
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        body = content[8 + length :]
        return {name: _tensor(body, of) for name, of in header.items() if name != "__metadata__"}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckDamaged(f"{path} cannot be read as safetensors: {error}.") from error


def _tensor(body: bytes, of: dict[str, Any]) -> NDArray[Any]:
    begin, end = of["data_offsets"]
    if not 0 <= begin <= end <= len(body):
        raise ValueError(f"a tensor ends at byte {end} of {len(body)}")
    return np.frombuffer(body[begin:end], TYPES[of["dtype"]]).reshape(of["shape"])
