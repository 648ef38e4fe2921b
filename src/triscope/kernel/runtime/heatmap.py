"""Reader of heat maps: ``heat`` float32 (b, h, w) and ``score`` (b,), larger is more anomalous."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from triscope.kernel.data import Sample
from triscope.kernel.results import Heatmap
from triscope.kernel.runtime.image import ImageCheck, whole_map
from triscope.kernel.runtime.reading import Prepared, Reading
from triscope.kernel.runtime.regions import find_regions


class HeatmapCheck(ImageCheck):
    """Where a part looks unlike the good ones."""

    answers = "Heatmap"
    regions_by_promise = True

    def read(self, outputs: Mapping[str, Any], prepared: Prepared) -> Reading:
        """The heat map of the capture and the regions above the pixel threshold."""
        heat = heatmap_of(outputs, prepared)
        zones = self.card.zones
        findings = find_regions(heat, zones, self.card.mm_per_px) if zones else ()
        return Reading(heat.score, findings, heat)

    def fold(self, pieces: Iterator[dict[str, Any]], prepared: Prepared) -> dict[str, Any]:
        """Blend the windows of a large capture while they are computed."""
        scores: list[Any] = []

        def maps() -> Iterator[Any]:
            for piece in pieces:
                scores.extend(piece["score"])
                yield from piece["heat"]

        return {"whole": whole_map(maps(), prepared), "score": np.array(scores)}

    def heatmap(self, prepared: Prepared) -> Heatmap:
        """The raw heat map and score of one prepared capture."""
        return heatmap_of(self.compute([prepared])[0], prepared)

    def heatmaps(
        self, data: Iterable[Sample], *, workers: int = 1
    ) -> Iterator[tuple[Sample, Heatmap]]:
        """Heat maps of a data set in order; what cannot be read is added to ``skipped``."""
        for sample, reading in self.readings(data, workers=workers):
            if reading.heatmap is not None:
                yield sample, reading.heatmap


def heatmap_of(outputs: Mapping[str, Any], prepared: Prepared) -> Heatmap:
    """The map of the whole capture; the score of a tiled one is the highest of its windows."""
    values = outputs["whole"] if "whole" in outputs else whole_map(outputs["heat"], prepared)
    return Heatmap(values, float(np.max(outputs["score"])), prepared.image_size)
