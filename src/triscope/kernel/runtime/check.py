"""A check at work: captures in, inspections out. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.errors import UnreadableImage
from triscope.kernel.data import Dataset, Sample, load, read_image, to_input
from triscope.kernel.geometry import tiles
from triscope.kernel.results import Finding, Heatmap, Inspection, Skipped, Verdict
from triscope.kernel.runtime.card import Card
from triscope.kernel.runtime.engine import Engine, Floats
from triscope.kernel.runtime.regions import find_regions
from triscope.kernel.runtime.seen import Seen

TILES_AT_ONCE = 8
UNDECIDED = Verdict("review", "this check has no thresholds yet: run 'triscope calibrate'")


@dataclass(frozen=True, eq=False)
class Prepared:
    """A capture as the graph wants it: float32 (b, 3, h, w), one row a window."""

    inputs: Floats
    image_size: tuple[int, int]
    windows: tiles.Plan | None
    read_s: float


class Check:
    """A fitted model with its thresholds: the same object after ``fit`` and after ``open``."""

    def __init__(self, card: Card, engine: Engine, seen: Seen, folder: Path | None = None) -> None:
        self.card = card
        self.engine = engine
        self.seen = seen
        self.folder = folder

    def __repr__(self) -> str:
        state = self.card.promise.get("basis", "not calibrated")
        return f"<Check {self.card.model} version {self.card.version.number}: {state}>"

    def inspect(self, source: Any) -> Inspection:
        """Inspect one capture: a path, an address or an array (h, w[, 3]).

        Raises UnreadableImage where it cannot be decoded.
        """
        sample = Sample(source, name=_name_of(source))
        return self._answer(sample.name, self.prepare(sample))

    def inspect_many(
        self, sources: Iterable[Any], workers: int = 1
    ) -> Iterator[Inspection | Skipped]:
        """Inspect captures in order, reading ahead; unreadable ones come as :class:`Skipped`."""
        samples = (_as_sample(source) for source in sources)
        for item in load(samples, self.prepare, workers=workers):
            if isinstance(item, Skipped):
                yield item
            else:
                yield self._answer(item.sample.name, item.prepared)

    def heatmap(self, prepared: Prepared) -> Heatmap:
        """The raw heat map and score of one prepared capture."""
        if prepared.windows is None:
            heat, score = self.engine.run(prepared.inputs)
            return Heatmap(_floats(heat[0]), float(score[0]), prepared.image_size)
        maps, scores = [], []
        for start in range(0, len(prepared.inputs), TILES_AT_ONCE):
            heat, score = self.engine.run(prepared.inputs[start : start + TILES_AT_ONCE])
            maps.append(heat)
            scores.append(score)
        whole = tiles.blend(np.concatenate(maps), prepared.windows)
        return Heatmap(_floats(whole), float(np.concatenate(scores).max()), prepared.image_size)

    def heatmaps(self, data: Dataset, workers: int = 1) -> Iterator[tuple[Sample, Heatmap]]:
        """Heat maps of a data set in order; unreadable samples are added to ``skipped``."""
        for item in load(data, self.prepare, workers=workers):
            if isinstance(item, Skipped):
                self.skipped.append(item)
            else:
                yield item.sample, self.heatmap(item.prepared)

    @property
    def skipped(self) -> list[Skipped]:
        """Captures that could not be read by :meth:`heatmaps`, over the life of the object."""
        return self.__dict__.setdefault("_skipped", [])

    def prepare(self, sample: Sample) -> Prepared:
        """Read a capture and bring it to the input of the graph."""
        start = perf_counter()
        image = read_image(sample.source)
        inputs, windows = to_windows(image, self.card)
        return Prepared(inputs, image.shape[:2], windows, perf_counter() - start)

    def _answer(self, source: str, prepared: Prepared) -> Inspection:
        start = perf_counter()
        heat = self.heatmap(prepared)
        computed = perf_counter()
        zones = self.card.zones
        findings: tuple[Finding, ...] = ()
        if zones is not None:
            findings = find_regions(heat, zones, self.card.mm_per_px)
        verdict = zones.judge(heat.score) if zones is not None else UNDECIDED
        seconds = {
            "read": prepared.read_s,
            "model": computed - start,
            "findings": perf_counter() - computed,
        }
        return Inspection(
            source, verdict, heat.score, findings, heat, prepared.image_size, self.label, seconds
        )

    @property
    def label(self) -> str:
        """Model and version, as written into each inspection."""
        return f"{self.card.model}@{self.card.version.number}"


def to_windows(image: NDArray[Any], card: Card) -> tuple[Floats, tiles.Plan | None]:
    """The image as inputs of the graph: float32 (b, 3, h, w), resized or cut as the card says."""
    if not card.tile:
        return to_input(image, card.size)[None], None
    plan = tiles.plan(image.shape[:2], card.tile, card.overlap)
    pieces = [to_input(piece, card.size) for piece in tiles.cut(image, plan)]
    return np.stack(pieces), plan


def _floats(values: Any) -> Floats:
    return np.ascontiguousarray(values, dtype=np.float32)


def _as_sample(source: Any) -> Sample:
    return source if isinstance(source, Sample) else Sample(source, name=_name_of(source))


def _name_of(source: Any) -> str:
    if isinstance(source, str | Path):
        return str(source)
    if isinstance(source, np.ndarray):
        return "array " + "x".join(map(str, source.shape))
    raise UnreadableImage(
        f"an image is a path, an address or an array (h, w[, 3]), got {type(source).__name__}."
    )
