"""Choosing the thresholds of a check from held-out captures. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from triscope.errors import EmptyData, LeakedData, UsageError
from triscope.kernel.calibrate import (
    Decision,
    RegionSize,
    by_cost,
    by_promise,
    lowest_promise,
    pixel_threshold,
)
from triscope.kernel.data import Dataset, Sample
from triscope.kernel.protocols import Progress
from triscope.kernel.results import Heatmap, Zones
from triscope.kernel.runtime.check import Check
from triscope.kernel.runtime.drawn_regions import add_drawn_regions

PROMISE = ("false_reject", "review")
REVIEW = 0.05  # good parts that may go to a person besides, where no share was named
HAND = ("fail_above", "review_above")
COST = ("cost_escape", "cost_reject", "cost_review", "prevalence")


def calibrate(
    check: Check,
    data: Any = None,
    *,
    confidence: float = 0.95,
    size: RegionSize = RegionSize(),
    workers: int = 1,
    progress: Progress | None = None,
    **wishes: Any,
) -> Zones:
    """See :meth:`Check.calibrate`."""
    asked = {name: value for name, value in wishes.items() if value is not None}
    _must_fit(asked)
    before = check.card.zones
    if "fail_above" in asked:
        decision = by_hand(check, size, **asked)
        check.card = check.card.with_(zones=decision.zones, promise=decision.promise)
        add_drawn_regions(check, _at_hand(check), size, workers, before)
        return check.card.zones or decision.zones
    samples = held_out(check) if data is None else of_own(check, data)
    measured = _Measured(check, samples, workers, progress)
    check.card = check.card.with_(**decide(measured, asked, confidence, size))
    add_drawn_regions(check, samples, size, workers, before)
    if data is not None:
        check.seen.drop([image.id for image in check.seen.of("calibrate")])
        check.seen.add(samples, "calibrate")
        check.held = samples
    assert check.card.zones is not None
    return check.card.zones


def by_hand(
    check: Check,
    size: RegionSize,
    *,
    fail_above: float,
    review_above: float | None = None,
    why: str = "Chosen by hand",
) -> Decision:
    """Lines that somebody names; they promise nothing, and the card says so.

    The pixel threshold is the review line, where regions come from a heat map of the same scale.
    """
    review = fail_above if review_above is None else review_above
    between = f", above {review:g} goes to a person" if review != fail_above else ""
    basis = f"{why}: a score above {fail_above:g} fails{between}; nothing is promised."
    pixels = review if check.regions_by_promise else None
    zones = Zones(
        review, fail_above, pixels, size.area_px, size.length_px, size.width_px, basis=basis
    )
    wish = {"fail_above": fail_above, "review_above": review, "size": asdict(size)}
    return Decision(zones, {"kind": "by hand", "basis": basis, "asked": wish})


def calibrate_at_first(check: Check, progress: Progress | None = None, workers: int = 1) -> None:
    """What ``fit`` does: the lowest promise that the held-out good parts allow.

    Models of known defects answer probabilities; without good parts theirs fail from one half on.
    """
    held = check.held or ()
    good = any(sample.good or sample.label is None for sample in held)
    if good or (held and not check.needs_good_parts):
        check.calibrate(workers=workers, progress=progress)
    elif check.scores_are_probabilities:
        decision = by_hand(check, RegionSize(), fail_above=0.5, why="No good parts were held out")
        check.card = check.card.with_(zones=decision.zones, promise=decision.promise)
        add_drawn_regions(check, _at_hand(check), RegionSize(), workers)


def calibrate_again(check: Check, progress: Progress | None = None) -> bool:
    """Choose the thresholds by the same wish on the same captures, for a model that has changed.

    Where the captures are not at hand any more the thresholds stay and say for which version they
    were chosen: False.
    """
    wish = dict(check.card.promise.get("asked", {}))
    zones = check.card.zones
    if not wish or zones is None:
        return False
    images = check.seen.of("calibrate")
    if check.held is None and len(check.seen.samples("calibrate")) < len(images):
        basis = f"{zones.basis} (Chosen for version {check.card.version.number}.)"
        check.card = check.card.with_(zones=replace(zones, basis=basis))
        return False
    size = RegionSize(**wish.pop("size"))
    check.calibrate(progress=progress, size=size, **wish)
    return True


def decide(
    measured: _Measured, asked: Mapping[str, float], confidence: float, size: RegionSize
) -> dict[str, Any]:
    """The fields of the card that a decision sets: zones and promise."""
    share = asked.get("false_reject")
    pixels = None
    if measured.check.regions_by_promise:
        pixels = pixel_threshold(
            measured.good_maps(),
            false_reject=share if share is not None else measured.lowest(confidence),
            confidence=confidence,
            size=size,
        )
    measured.measure()
    decision = _lines(measured, asked, confidence)
    if pixels is not None:
        decision = decision.with_pixels(pixels)
    wish = {**asked, "confidence": confidence, "size": asdict(size)}
    promise = {**decision.promise, "asked": wish}
    return {"zones": decision.zones, "promise": promise}


def _lines(measured: _Measured, asked: Mapping[str, float], confidence: float) -> Decision:
    good, defects = measured.good, measured.defects
    if "cost_escape" in asked:
        costs: dict[str, Any] = {name: asked[name] for name in COST if name in asked}
        if not defects:
            raise EmptyData(
                "choosing by cost needs defects beside good parts, and none was given: give a "
                "folder with good and defective parts, or choose by promise: false_reject=0.01."
            )
        return by_cost(good, defects, confidence=confidence, **costs)
    share, review = asked.get("false_reject"), asked.get("review")
    if share is None:
        share = measured.lowest(confidence)
        review = min(2 * share, REVIEW, (1 - share) / 2) if review is None else review
    return by_promise(
        good,
        false_reject=share,
        confidence=confidence,
        review=review,
        defect_scores=defects or None,
    )


class _Measured:
    """Scores of held-out captures: good ones and defects, each read once."""

    def __init__(
        self, check: Check, samples: Dataset, workers: int, progress: Progress | None
    ) -> None:
        self.check, self.workers, self.progress = check, workers, progress
        self.waiting = {
            "good": [s for s in samples if s.good or s.label is None],
            "defects": [s for s in samples if not s.good and s.label is not None],
        }
        self.total, self.done = len(samples), 0
        self.good: list[float] = []
        self.defects: list[float] = []

    def good_maps(self) -> Iterator[Heatmap]:
        """Heat maps of the good parts; their scores are kept on the way."""
        for reading in self._readings("good"):
            self.good.append(reading.score)
            if reading.heatmap is not None:
                yield reading.heatmap

    def measure(self) -> None:
        """Score whatever has not been scored yet."""
        self.good += [reading.score for reading in self._readings("good")]
        self.defects += [reading.score for reading in self._readings("defects")]
        if not self.good:
            raise EmptyData(
                "thresholds need good parts that the check has not learned from, and none could "
                "be read. Give a folder of them."
            )

    def lowest(self, confidence: float) -> float:
        """The lowest promise that the good parts at hand allow, rounded up."""
        count = max(1, len(self.waiting["good"]) + len(self.good))
        return min(0.999, math.ceil(lowest_promise(count, confidence) * 10_000) / 10_000)

    def _readings(self, part: str) -> Iterator[Any]:
        samples, self.waiting[part] = self.waiting[part], []
        for _, reading in self.check.readings(samples, workers=self.workers):
            self.done += 1
            if self.progress is not None:
                self.progress("calibrate", self.done, self.total)
            yield reading


def held_out(check: Check) -> Dataset:
    """The captures that were kept for this when the check was fitted; raises EmptyData."""
    if check.held is not None and len(check.held):
        return check.held
    images = check.seen.of("calibrate")
    found = check.seen.samples("calibrate")
    if not images:
        raise EmptyData(
            f"{check.label} kept no images to calibrate with: give a folder of good parts that it "
            "has not learned from."
        )
    if not found:
        raise EmptyData(
            f"none of the {len(images)} images that {check.label} kept for calibration is where "
            f"it was ({images[0].source or images[0].name}): give a folder of good parts."
        )
    return Dataset(tuple(found), "", "held out")


def _at_hand(check: Check) -> Sequence[Sample]:
    """The held-out captures that can be had; none is no error."""
    return check.held or check.seen.samples("calibrate")


def of_own(check: Check, data: Any) -> Dataset:
    """Captures given to calibrate; images of training or test are refused with the reason."""
    given = check.captures(data)
    pool = given.split("calibrate") or given.where(lambda sample: sample.split is None)
    if not pool:
        counts = {name: len(given.split(name)) for name in ("train", "test")}
        raise LeakedData(
            f"{given.root or 'the data'} holds {counts['train']} training and {counts['test']} "
            "test images and none to calibrate with: thresholds chosen on test images make every "
            "figure of the test too good. Give good parts of their own, or calibrate without "
            f"data to use the {len(check.seen.of('calibrate'))} that were held out by fit."
        )
    check.seen.refuse(pool, ("train",), "calibrate")
    return pool


def _must_fit(asked: Mapping[str, Any]) -> None:
    unknown = sorted(set(asked) - {*PROMISE, *COST, *HAND})
    if unknown:
        raise TypeError(f"calibrate() has no argument {unknown[0]!r}")
    if any(name in asked for name in HAND):
        if set(asked) - {*HAND} or "fail_above" not in asked:
            raise UsageError(
                "lines by hand are fail_above and, if wanted, review_above, and nothing beside "
                f"them: got {', '.join(sorted(asked))}."
            )
        if asked.get("review_above", asked["fail_above"]) > asked["fail_above"]:
            raise UsageError(
                f"review starts below fail: review_above={asked['review_above']:g}, "
                f"fail_above={asked['fail_above']:g}."
            )
    costs = [name for name in COST if name in asked]
    if costs and any(name in asked for name in PROMISE):
        raise UsageError("choose by promise (false_reject) or by cost, not by both.")
    if costs and not {"cost_escape", "cost_reject"} <= set(costs):
        raise UsageError(
            "choosing by cost needs both cost_escape and cost_reject: what a missed defect and "
            "what a rejected good part cost, in any one unit."
        )
