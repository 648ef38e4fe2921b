"""What choosing thresholds gives: zones for the card, and the record of how they were chosen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from triscope.kernel.calibrate.order import Scores
from triscope.kernel.calibrate.regions import PixelDecision
from triscope.kernel.metrics.binomial import upper_bound
from triscope.kernel.results import Zones


@dataclass(frozen=True)
class Decision:
    """Zones with the promise that they rest on, in plain types for the card."""

    zones: Zones
    promise: dict[str, Any]

    def with_pixels(self, pixels: PixelDecision) -> Decision:
        """The same lines, and regions of the heat map above ``pixels.above``."""
        size = pixels.size
        zones = replace(
            self.zones,
            pixel_above=pixels.above,
            min_area_px=size.area_px,
            min_length_px=size.length_px,
            min_width_px=size.width_px,
            basis=f"{self.zones.basis} {pixels.promise['basis']}",
        )
        promise = {**self.promise, "pixels": pixels.promise, "basis": zones.basis}
        return Decision(zones, promise)


def outcomes(scores: Scores, zones: Zones) -> dict[str, int]:
    """How many of these scores pass, go to review and fail."""
    failed = int((scores > zones.fail_above).sum())
    passed = int((scores <= zones.review_above).sum())
    return {"pass": passed, "review": len(scores) - passed - failed, "fail": failed}


def escapes(defects: Scores | None, zones: Zones, confidence: float) -> dict[str, Any]:
    """What is known of escapes: of given defects how many pass, and how many may in truth.

    The bound is that of Clopper and Pearson; the lines must have been chosen without the defects.
    """
    if defects is None:
        return {"defects": 0}
    counts = outcomes(defects, zones)
    at_most = upper_bound(counts["pass"], len(defects), confidence)
    return {"defects": len(defects), "defect_outcomes": counts, "escapes_at_most": at_most}
