"""What an engine remembers: images with their fingerprints, the stage, rounds and figures.

``engine.json`` is written whole in one rename; masks lie beside it, one SA-1B file an image, so a
stop at any moment loses at most the mask that was being drawn.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from triscope.errors import DataError

FORMAT = 1
FILE = "engine.json"


@dataclass
class Entry:
    """One image: where it is, what it was, and in which stages it is done."""

    name: str
    path: str
    fingerprint: str
    done: list[str] = field(default_factory=list)
    skipped: str = ""  # why it is left out


@dataclass
class Manifest:
    """The state of an engine."""

    stage: str
    images: dict[str, Entry]
    rounds: list[dict[str, Any]] = field(default_factory=list)
    network: str = "sam_nano"
    weights: str = ""
    format: int = FORMAT

    def write(self, folder: Path) -> None:
        """Put it into ``folder/engine.json``."""
        plain = asdict(self)
        plain["images"] = [asdict(entry) for entry in self.images.values()]
        write_json(folder / FILE, plain)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder; raises DataError saying what is wrong."""
    path = folder / FILE
    if not path.is_file():
        raise DataError(
            f"{folder} holds no {FILE}: start one with 'triscope segment engine {folder} start "
            "IMAGES'."
        )
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain["format"] > FORMAT:
            raise ValueError(f"format {plain['format']}, this version reads {FORMAT}")
        images = {row["name"]: Entry(**row) for row in plain.pop("images")}
        return Manifest(images=images, **plain)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read as an engine's manifest: {error}.") from error


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write in one rename."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    part.replace(path)
