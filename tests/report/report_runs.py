"""Made-up inspections to report on: scores are known, pictures are tiny."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from triscope.kernel.data import GOOD, Sample
from triscope.kernel.report import InspectionReport
from triscope.kernel.results import Finding, Heatmap, Inspection, Skipped, Zones
from triscope.kernel.runtime.card import Card

ZONES = Zones(2.0, 3.0, pixel_above=2.5, basis="At most 1 % of good parts fail.")
CARD = Card("patchcore", "Heatmap", {"size": 64, "note": "a < b"}, (64, 64), zones=ZONES)


def inspection(score: float, name: str = "part.png", hw: tuple[int, int] = (48, 64)) -> Inspection:
    """An inspection with this score, a heat map that peaks there, and one finding if it fails."""
    values = np.full((12, 16), 0.5, np.float32)
    values[4:7, 5:9] = score if np.isfinite(score) else 0
    found = ()
    if score > ZONES.fail_above:
        outline = ((20.0, 16.0), (36.0, 16.0), (36.0, 28.0), (20.0, 28.0))
        measures = {"area_px": 192.0, "length_mm": 1.6}
        found = (Finding("anomaly", score, (20, 16, 36, 28), outline, measures=measures),)
    seconds = {"read": 0.002, "model": 0.01, "findings": 0.001}
    return Inspection(
        name, ZONES.judge(score), score, found, Heatmap(values, score, hw), hw, "p@1", seconds
    )


def sample(name: str, label: str | None, hw: tuple[int, int] = (48, 64)) -> Sample:
    """A grey picture in memory; defects have a mask."""
    mask = np.zeros(hw, np.bool_)
    mask[16:28, 20:36] = True
    image = np.full((*hw, 3), 120, np.uint8)
    return Sample(image, name, label, mask if label not in (None, GOOD) else None)


def small_report(most: int = 160) -> InspectionReport:
    """Eight parts: 5 good (one in review, one failed), 3 scratched (one of them passes)."""
    report = InspectionReport(CARD, "Eight parts", most=most)
    for i, score in enumerate((0.5, 0.9, 1.5, 2.2, 3.4)):
        report.add(inspection(score, f"good/{i}.png"), sample(f"good/{i}.png", GOOD))
    for i, score in enumerate((1.2, 4.0, 6.0)):
        report.add(inspection(score, f"scratch/{i}.png"), sample(f"scratch/{i}.png", "scratch"))
    report.add(Skipped("broken.png", "broken.png ends after 12 bytes."))
    return report


def written(folder: Path) -> Path:
    """The small report as a file."""
    return small_report().write(folder / "report.html", "a line below")
