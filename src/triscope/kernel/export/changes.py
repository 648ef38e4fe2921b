"""What an export changed, told by labelled data: AUROC and AUPRO before and after."""

from __future__ import annotations

from typing import Any

from triscope.errors import EmptyData
from triscope.kernel.data import Dataset, mask_of
from triscope.kernel.metrics import Pixels, auroc
from triscope.kernel.protocols import Progress
from triscope.kernel.runtime.check import Check
from triscope.kernel.runtime.reading import Reading


def changes(
    before: Check, after: Check, data: Dataset, *, progress: Progress | None = None
) -> dict[str, Any]:
    """Each figure before and after, over all readable images; those of the test split if named.

    ``verdicts`` counts images that are judged differently. AUPRO is there where masks are.
    """
    sides = [_Side(before), _Side(after)]
    samples = data.split("test") or data.where(lambda sample: sample.label is not None)
    if not samples:
        raise EmptyData(f"{data.root or 'the data'} holds no labelled image to measure changes on.")
    differing = 0
    for done, sample in enumerate(samples, start=1):
        prepared = before.prepare(sample)
        readings = [side.add(sample, prepared) for side in sides]
        verdicts = [s.check.judge(r).outcome for s, r in zip(sides, readings, strict=True)]
        differing += verdicts[0] != verdicts[1]
        if progress is not None:
            progress("measure changes", done, len(samples))
    figures = [side.figures() for side in sides]
    told: dict[str, Any] = {
        name: {"before": value, "after": figures[1][name]} for name, value in figures[0].items()
    }
    return {**told, "images": len(samples), "verdicts": differing}


class _Side:
    """One of the two, and what it answered."""

    def __init__(self, check: Check) -> None:
        self.check = check
        self.scores: list[float] = []
        self.defective: list[bool] = []
        self.pixels = Pixels()

    def add(self, sample: Any, prepared: Any) -> Reading:
        """Answer one capture."""
        reading = self.check.reading(prepared)
        self.scores.append(reading.score)
        self.defective.append(not sample.good)
        if reading.heatmap is not None and (sample.good or sample.mask is not None):
            mask = None
            if sample.mask is not None:
                mask = mask_of(sample.mask, prepared.image_size, f"the mask of {sample.name}")
            self.pixels.add(reading.heatmap.at_image_size(), mask)
        return reading

    def figures(self) -> dict[str, float]:
        """What can be computed from the labels that were there."""
        found: dict[str, float] = {}
        if len(set(self.defective)) == 2:
            found["image_auroc"] = auroc(self.scores, self.defective)
        if self.pixels.regions:
            found["pixel_auroc"] = self.pixels.auroc().value
            found["aupro"] = self.pixels.aupro().value
        return found
