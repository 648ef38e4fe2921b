"""Reader of segmentations: ``logits`` float32 (b, c, h, w), one map a class of the card.

Where the first class is called ``background`` the classes exclude each other (softmax); otherwise
each is by itself (sigmoid).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.kernel.data import Sample, mask_of
from triscope.kernel.results import Finding, Heatmap
from triscope.kernel.runtime.boxes import class_name
from triscope.kernel.runtime.image import ImageCheck, whole_map
from triscope.kernel.runtime.label import softmax
from triscope.kernel.runtime.reading import Prepared, Reading
from triscope.kernel.runtime.regions import MAX_FINDINGS, regions_of

BACKGROUND = "background"
ABOVE = 0.5  # probability from which on a pixel belongs to a class, where no zones say otherwise


class MasksCheck(ImageCheck):
    """Known defects, each with its pixels.

    The heat map is the probability of any class but the background, the score its highest
    value, or what the graph answers as ``score``.
    """

    answers = "Masks"
    scores_are_probabilities = True

    def read(self, outputs: Mapping[str, Any], prepared: Prepared) -> Reading:
        """Regions of each class; a pixel is of its most probable class, if sure enough."""
        maps = probabilities(np.asarray(outputs["logits"], np.float32), self.exclusive)
        whole = np.stack([whole_map(maps[:, c], prepared) for c in range(maps.shape[1])])
        first = 1 if self.exclusive else 0
        any_class = 1 - whole[0] if self.exclusive else whole.max(axis=0)
        # A network that decides about the whole image says so in "score".
        score = float(np.max(outputs["score"])) if "score" in outputs else float(any_class.max())
        heat = Heatmap(np.ascontiguousarray(any_class), score, prepared.image_size)
        best = whole.argmax(axis=0)
        found: list[Finding] = []
        for number in range(first, len(whole)):
            mine = np.where(best == number, whole[number], np.float32(0))
            found += self._regions(mine, class_name(self.card.classes, number), prepared)
        found.sort(key=lambda finding: -finding.score)
        return Reading(heat.score, tuple(found[:MAX_FINDINGS]), heat)

    @property
    def exclusive(self) -> bool:
        """Whether a pixel has one class at most."""
        return self.card.classes[:1] == (BACKGROUND,)

    def examiner(self) -> MasksExaminer:
        """IoU, Dice and borders at the threshold of the regions."""
        zones = self.card.zones
        above = ABOVE if zones is None or zones.pixel_above is None else zones.pixel_above
        return MasksExaminer(above)

    def _regions(
        self, values: NDArray[np.float32], label: str, prepared: Prepared
    ) -> tuple[Finding, ...]:
        zones = self.card.zones
        above = ABOVE if zones is None or zones.pixel_above is None else zones.pixel_above
        return regions_of(
            values,
            above,
            prepared.image_size,
            label=label,
            min_area_px=zones.min_area_px if zones else 0.0,
            mm_per_px=self.card.mm_per_px,
        )


class MasksExaminer:
    """Pixels above the threshold beside the masks of the samples."""

    def __init__(self, above: float) -> None:
        from triscope.kernel.metrics.drawn import Masks

        self.above = above
        self.seen = Masks()

    def take(self, sample: Sample, reading: Reading) -> None:
        """One image; those of a defect that nobody drew are left out."""
        heat = reading.heatmap
        if heat is None or (sample.mask is None and not sample.good):
            return
        truth = np.zeros(heat.image_size, np.bool_)
        if sample.mask is not None:
            truth = mask_of(sample.mask, heat.image_size, f"the mask of {sample.name}")
        self.seen.add(str(sample.label), truth, heat.at_image_size() > self.above)

    def result(self) -> dict[str, Any]:
        """See ``kernel.metrics.drawn``, with the threshold."""
        return {**self.seen.result(), "above": self.above}


def probabilities(logits: NDArray[np.float32], exclusive: bool) -> NDArray[np.float32]:
    """Of each class at each pixel, float32 (b, c, h, w)."""
    if exclusive:
        return softmax(logits).astype(np.float32)
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -60, 60))), np.float32)
