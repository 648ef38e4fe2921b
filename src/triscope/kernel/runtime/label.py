"""Reader of classes: ``logits`` float32 (b, c) and, where the graph has it, ``cam`` (b, c, i, j).

``cam`` are class-activation maps: where in the image the evidence for each class lies. With a class
``good`` the map of a capture is that of its most probable defect minus that of ``good``: its mean
is, but for the bias, the logarithm of how much more probable the defect is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.kernel.data import GOOD, Sample, mask_of
from triscope.kernel.results import Finding, Heatmap
from triscope.kernel.runtime.boxes import class_name
from triscope.kernel.runtime.image import ImageCheck, whole_map
from triscope.kernel.runtime.reading import Prepared, Reading
from triscope.kernel.runtime.regions import regions_of


class LabelCheck(ImageCheck):
    """One class for the capture.

    With a class ``good`` the score is the probability that the part is not good; without one it is
    the probability of the class that was found. A tiled capture is of the class of its least good
    window. Where ``zones.pixel_above`` is set, regions of the class-activation map above it give
    the finding its places.
    """

    answers = "Label"
    scores_are_probabilities = True
    regions_by_masks = True

    def read(self, outputs: Mapping[str, Any], prepared: Prepared) -> Reading:
        """The most probable class; nothing is found where that is ``good``."""
        probabilities = softmax(np.asarray(outputs["logits"], np.float64))
        scores = probabilities.max(axis=1)
        if GOOD in self.card.classes:
            scores = 1 - probabilities[:, self.card.classes.index(GOOD)]
        row = int(scores.argmax())
        label = int(probabilities[row].argmax())
        name, score = class_name(self.card.classes, label), float(scores[row])
        heat = None
        if "cam" in outputs:
            evidence = self._evidence(outputs["cam"], probabilities[row])
            heat = Heatmap(whole_map(evidence, prepared), score, prepared.image_size)
        found: tuple[Finding, ...] = ()
        if name != GOOD and self._counts(score):
            found = self._findings(name, float(probabilities[row, label]), heat)
        named = {
            class_name(self.card.classes, i): round(float(p), 6)
            for i, p in enumerate(probabilities[row])
        }
        return Reading(score, found, heat, {"label": name, "probabilities": named})

    def examiner(self) -> LabelExaminer:
        """The confusion matrix, and the regions where a threshold makes some."""
        zones = self.card.zones
        return LabelExaminer(self.card.classes, zones.pixel_above if zones else None)

    def _evidence(self, cam: NDArray[Any], probability: NDArray[Any]) -> NDArray[Any]:
        """Maps (rows, i, j) of the most probable defect."""
        if GOOD not in self.card.classes:
            return np.asarray(cam[:, int(probability.argmax())])
        good = self.card.classes.index(GOOD)
        defect = int(np.where(np.arange(len(probability)) == good, -1, probability).argmax())
        return np.asarray(cam[:, defect] - cam[:, good])

    def _counts(self, score: float) -> bool:
        """A part that passes has no findings."""
        return self.card.zones is None or score > self.card.zones.review_above

    def _findings(self, name: str, probability: float, heat: Heatmap | None) -> tuple[Finding, ...]:
        zones = self.card.zones
        if heat is not None and zones is not None and zones.pixel_above is not None:
            places = regions_of(
                heat.values,
                zones.pixel_above,
                heat.image_size,
                label=name,
                min_area_px=zones.min_area_px,
                mm_per_px=self.card.mm_per_px,
            )
            if places:
                return places
        return (Finding(name, probability),)


class LabelExaminer:
    """Classes that were found beside the labels of the samples."""

    def __init__(self, classes: Sequence[str], above: float | None = None) -> None:
        from triscope.kernel.metrics.drawn import Masks
        from triscope.kernel.metrics.named import Names

        self.seen = Names(classes)
        self.above = above
        self.drawn = Masks()

    def take(self, sample: Sample, reading: Reading) -> None:
        """One capture's class; and its regions, where the defect is drawn or there is none."""
        found = reading.details["label"]
        self.seen.add(str(sample.label), found)
        heat = reading.heatmap
        if heat is None or self.above is None or (sample.mask is None and not sample.good):
            return
        truth = np.zeros(heat.image_size, np.bool_)
        if sample.mask is not None:
            truth = mask_of(sample.mask, heat.image_size, f"the mask of {sample.name}")
        regions = heat.at_image_size() > self.above if found != GOOD else np.zeros_like(truth)
        self.drawn.add(str(sample.label), truth, regions)

    def result(self) -> dict[str, Any]:
        """See ``kernel.metrics.named``; ``regions`` as in ``kernel.metrics.drawn``, or None."""
        regions = self.drawn.result()
        known = {**regions, "above": self.above} if regions["types"] else None
        return {**self.seen.result(), "regions": known}


def softmax(logits: NDArray[Any]) -> NDArray[Any]:
    """Probabilities along the second axis: (b, c[, ...])."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
