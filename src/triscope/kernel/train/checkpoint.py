"""Checkpoints: written whole or not at all, read without unpickling code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from triscope.errors import TrainingError

NAME = "checkpoint.pt"
FORMAT = 1


def write(folder: Path, content: dict[str, Any]) -> Path:
    """Put the content into ``folder/checkpoint.pt`` in one rename; the old one stays until then."""
    folder.mkdir(parents=True, exist_ok=True)
    path, part = folder / NAME, folder / f"{NAME}.part"
    with part.open("wb") as file:
        torch.save({"format": FORMAT, **content}, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    return path


def read(folder: Path) -> dict[str, Any] | None:
    """The content of the folder's checkpoint, or None where there is none."""
    path = folder / NAME
    if not path.exists():
        return None
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises five kinds for files that are cut or not its own
        raise TrainingError(
            f"{path} cannot be read as a checkpoint ({error}). "
            "Delete it to start from the beginning."
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise TrainingError(
            f"{path} is not a checkpoint of format {FORMAT}. Delete it to start from the beginning."
        )
    return content


def forget(folder: Path) -> None:
    """Delete the folder's checkpoint, once what was learned is saved elsewhere."""
    (folder / NAME).unlink(missing_ok=True)


def must_match(folder: Path, what: str, found: dict[str, Any], asked: dict[str, Any]) -> None:
    """Raise TrainingError naming the first values in which a checkpoint is of another training."""
    differing = [name for name in sorted(found | asked) if found.get(name) != asked.get(name)]
    if differing:
        pairs = ", ".join(f"{n}={found.get(n)!r} (asked: {asked.get(n)!r})" for n in differing[:4])
        raise TrainingError(
            f"{folder / NAME} belongs to another {what}: {pairs}. "
            "Go on with the same, or delete it to start from the beginning."
        )
