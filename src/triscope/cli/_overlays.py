"""PNG overlays of a run, named after their captures."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from triscope.errors import DataError
from triscope.kernel.data import read_image
from triscope.kernel.report.inspecting import Look, looked_at
from triscope.kernel.report.pictures import (
    median_and_largest,
    overlay,
    scale_of,
    write_overlay,
)
from triscope.kernel.results import Inspection


class Overlays:
    """Writes one PNG a capture below a folder; names never leave it and never collide."""

    def __init__(
        self, folder: Path, card: Any, explain: Any = None, picture: Look = read_image
    ) -> None:
        self.folder, self.card, self.explain, self.picture = folder, card, explain, picture
        self.pixel_above = card.zones.pixel_above if card.zones else None
        self._taken: set[str] = set()

    def add(self, answer: Inspection, sample: Any) -> None:
        """Draw one, a video as some of its frames; a capture that is neither is left out."""
        try:
            answer, image = looked_at(answer, sample.source, self.card, self.explain, self.picture)
        except DataError:
            return
        scale = None
        if answer.heatmap is not None:
            scale = scale_of([median_and_largest(answer.heatmap)], self.pixel_above)
        write_overlay(self.folder / self.name(answer.source), overlay(image, answer, scale))

    def name(self, source: str) -> str:
        """``test/stain/004.jpg`` -> ``test_stain_004.png``: the last three parts, made unique."""
        path = PurePosixPath(source.replace("\\", "/").replace("::", "/").replace(":", ""))
        parts = [part for part in path.parts if part not in ("/", ".", "..")][-3:]
        stem = "_".join([*parts[:-1], PurePosixPath(parts[-1]).stem]) if parts else "capture"
        name, number = stem, 2
        while name in self._taken:
            name, number = f"{stem}-{number}", number + 1
        self._taken.add(name)
        return f"{name}.png"
