"""Regions of a map that was learned from labels alone: its threshold, from drawn held-out parts.

Weakly supervised localisation: image labels in, regions out. A class-activation map has no natural
threshold; the one whose pixels agree best with the masks of the calibration split is taken, by Dice
over all their pixels together. Test images never choose it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from triscope.kernel.calibrate import RegionSize
from triscope.kernel.data import GOOD, Sample, mask_of
from triscope.kernel.metrics.pixels import Pixels
from triscope.kernel.results import Zones
from triscope.kernel.runtime.check import Check


def add_drawn_regions(
    check: Check,
    samples: Iterable[Sample] | None,
    size: RegionSize,
    workers: int = 1,
    before: Zones | None = None,
) -> None:
    """Set ``pixel_above`` of a check whose regions follow masks.

    Where no part is drawn the threshold ``before`` stays, as an opened check does not know masks.
    """
    zones = check.card.zones
    if zones is None or not check.regions_by_masks or zones.pixel_above is not None:
        return
    known = [s for s in samples or () if s.good or (s.label is not None and s.mask is not None)]
    drawn = sum(not sample.good for sample in known)
    pixels = pixels_of(check, known, workers) if drawn else Pixels()
    if not pixels.regions:
        if before is not None and before.pixel_above is not None:
            kept = replace(zones, pixel_above=before.pixel_above, min_area_px=size.area_px)
            check.card = check.card.with_(zones=kept)
        return
    best = pixels.f1_max()
    above = float(best.threshold or 0.0)
    told = (
        f"Regions of the class map above {above:.4g} agree best with the masks of {drawn} held-out "
        f"parts (Dice {best.value:.3f})."
    )
    zones = replace(
        zones,
        pixel_above=above,
        min_area_px=size.area_px,
        min_length_px=size.length_px,
        min_width_px=size.width_px,
        basis=f"{zones.basis} {told}",
    )
    regions = {"kind": "best Dice", "above": above, "dice": best.value, "parts": drawn}
    promise = {**check.card.promise, "basis": zones.basis, "regions": regions}
    check.card = check.card.with_(zones=zones, promise=promise)


def pixels_of(check: Check, samples: Iterable[Sample], workers: int = 1) -> Pixels:
    """The maps of the parts that are called defective: only those have regions."""
    pixels = Pixels()
    for sample, reading in check.readings(samples, workers=workers):
        heat = reading.heatmap
        if heat is None or reading.details.get("label") == GOOD:
            continue
        mask = None
        if sample.mask is not None and not sample.good:
            mask = mask_of(sample.mask, heat.image_size, f"the mask of {sample.name}")
        pixels.add(heat.at_image_size(), mask)
    return pixels
