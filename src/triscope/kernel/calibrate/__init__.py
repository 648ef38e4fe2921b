"""Thresholds are decisions: by promise on good parts, or by what mistakes cost. NumPy only."""

from triscope.kernel.calibrate.cost import by_cost
from triscope.kernel.calibrate.decision import Decision
from triscope.kernel.calibrate.order import lowest_promise, parts_needed
from triscope.kernel.calibrate.promise import by_promise
from triscope.kernel.calibrate.regions import PixelDecision, RegionSize, pixel_threshold

__all__ = [
    "Decision",
    "PixelDecision",
    "RegionSize",
    "by_cost",
    "by_promise",
    "lowest_promise",
    "parts_needed",
    "pixel_threshold",
]
