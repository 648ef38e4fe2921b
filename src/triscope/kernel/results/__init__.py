"""Frozen, validated results in plain NumPy: the currency between all parts."""

from triscope.kernel.results.depth import Depth
from triscope.kernel.results.finding import Box, Finding
from triscope.kernel.results.heatmap import Heatmap
from triscope.kernel.results.inspection import Inspection, Skipped
from triscope.kernel.results.verdict import OUTCOMES, Outcome, Verdict, Zones

__all__ = [
    "OUTCOMES",
    "Box",
    "Depth",
    "Finding",
    "Heatmap",
    "Inspection",
    "Outcome",
    "Skipped",
    "Verdict",
    "Zones",
]
