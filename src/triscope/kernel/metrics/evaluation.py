"""What ``triscope evaluate`` answers: a check's raw scores and maps against what is known.

Cases come one by one and are dropped at once: of a map only its pixels' histograms stay, of an
image its score. Maps are compared with masks at the size of the capture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from triscope.errors import BadLabels
from triscope.kernel.metrics.auroc import auroc, auroc_of
from triscope.kernel.metrics.average_precision import average_precision_of
from triscope.kernel.metrics.binomial import share_interval
from triscope.kernel.metrics.bootstrap import Interval, bootstrap
from triscope.kernel.metrics.f1_max import f1_max, f1_max_of
from triscope.kernel.metrics.pixels import Pixels
from triscope.kernel.metrics.rates import Confusion, confusion
from triscope.kernel.metrics.steps import Bounded, must_be_finite, steps_of
from triscope.kernel.results import OUTCOMES, Heatmap, Zones

GOOD = "good"
SWEEP = 100  # rows of the threshold sweep
ONLY_GOOD = "No defective image was given: only false rejects are known."
ONLY_BAD = "No good image was given: only escapes are known."
MISTAKES = 50  # named at most
ERROR_STATED = 1e-3  # pixel metrics promise to be this exact, or say so


class Case(NamedTuple):
    """One image: its name, ``"good"`` or its defect type, what the check said, and its mask.

    ``heat`` is the map with its score, or a score alone. ``mask`` is bool, of the size of the
    capture; None where the image is good or nobody drew one.
    """

    name: str
    label: str
    heat: Heatmap | float
    mask: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class TypeRow:
    """One defect type against all good images."""

    name: str
    images: int
    auroc: float | None = None
    outcomes: dict[str, int] | None = None
    escapes_interval: tuple[float, float] | None = None
    pixel_auroc: Bounded | None = None
    aupro: Bounded | None = None


@dataclass(frozen=True)
class Evaluation:
    """Everything that was measured; parts that could not be are None, and ``notes`` say why."""

    images: dict[str, int]
    image: dict[str, Interval] | None
    pixel: dict[str, Bounded] | None
    pixel_confusion: Confusion | None
    types: tuple[TypeRow, ...]
    zones: Zones | None
    outcomes: dict[str, dict[str, int]] | None
    confusion: Confusion | None
    intervals: dict[str, tuple[float, float]]
    sweep: tuple[dict[str, float | None], ...]
    mistakes: tuple[dict[str, Any], ...]
    notes: tuple[str, ...] = ()
    confidence: float = 0.95
    f1_threshold: float | None = None
    known: dict[str, Any] | None = None  # of boxes, classes or masks: see the check's examiner

    def to_dict(self) -> dict[str, Any]:
        """One object of plain types, for ``--json`` and the report."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: _plain(value) for name, value in plain.items()}


@dataclass
class _Seen:
    """What stays of the cases."""

    exact: bool
    above: float | None
    names: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    pixels: dict[str, Pixels] = field(default_factory=dict)
    without_mask: int = 0

    def add(self, case: Case) -> None:
        self.names.append(case.name)
        self.labels.append(case.label)
        score = case.heat.score if isinstance(case.heat, Heatmap) else float(case.heat)
        must_be_finite(np.array([score]), "scores")
        self.scores.append(score)
        if not isinstance(case.heat, Heatmap):
            return
        marked = case.mask is not None and bool(case.mask.any())
        if case.label != GOOD and not marked:
            self.without_mask += 1
            return
        mask = case.mask if marked else None
        self.of(case.label).add(case.heat.at_image_size(), mask)

    def of(self, label: str) -> Pixels:
        return self.pixels.setdefault(label, Pixels(exact=self.exact, above=self.above))

    def all_pixels(self) -> Pixels:
        both = Pixels(exact=self.exact, above=self.above)
        for pixels in self.pixels.values():
            both = both.merged(pixels)
        return both


def evaluate(
    cases: Iterable[Case],
    *,
    zones: Zones | None = None,
    exact: bool = False,
    draws: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Evaluation:
    """Metrics of images and pixels, per defect type, at the zones where there are any.

    ``exact`` keeps every pixel's score. Intervals of image metrics are of ``draws`` stratified
    bootstrap draws from ``seed``; those of shares are exact (Clopper and Pearson).
    """
    seen = _Seen(exact, zones.pixel_above if zones else None)
    for case in cases:
        try:
            seen.add(case)
        except BadLabels as error:
            raise BadLabels(f"{case.name}: {error}") from error
    scores = np.array(seen.scores, dtype=np.float64)
    bad = np.array([label != GOOD for label in seen.labels], dtype=bool)
    both = bool(bad.any() and not bad.all())
    everything = seen.all_pixels()
    pixel = _pixel_metrics(everything)
    options = {"draws": draws, "confidence": confidence, "seed": seed}
    return Evaluation(
        images={"good": int((~bad).sum()), "defective": int(bad.sum())},
        image=_image_metrics(scores, bad, options) if both else None,
        pixel=pixel,
        pixel_confusion=everything.confusion if pixel and seen.above is not None else None,
        types=_types(seen, scores, bad, zones, confidence),
        zones=zones,
        outcomes=_outcomes(scores, bad, zones),
        confusion=confusion(scores, bad, above=zones.fail_above) if zones and len(bad) else None,
        intervals=_intervals(scores, bad, zones, confidence),
        sweep=_sweep(scores, bad) if both else (),
        mistakes=_mistakes(seen, scores, bad, zones),
        notes=_notes(seen, bad, pixel),
        confidence=confidence,
        f1_threshold=f1_max(scores, bad).threshold if both else None,
    )


def _image_metrics(
    scores: NDArray[np.float64], bad: NDArray[np.bool_], options: dict[str, Any]
) -> dict[str, Interval]:
    metrics = {"auroc": auroc_of, "average_precision": average_precision_of, "f1_max": f1_max_of}
    return {name: bootstrap(metric, scores, bad, **options) for name, metric in metrics.items()}


def _pixel_metrics(pixels: Pixels) -> dict[str, Bounded] | None:
    if not pixels.regions:
        return None
    dice = pixels.f1_max()
    iou = dice.value / (2 - dice.value)
    best = min(1.0, dice.value + dice.error)
    return {
        "auroc": pixels.auroc(),
        "average_precision": pixels.average_precision(),
        "aupro_30": pixels.aupro(0.3),
        "aupro_05": pixels.aupro(0.05),
        "dice_max": dice,
        "iou_max": Bounded(iou, best / (2 - best) - iou, dice.threshold),
    }


def _types(
    seen: _Seen,
    scores: NDArray[np.float64],
    bad: NDArray[np.bool_],
    zones: Zones | None,
    confidence: float,
) -> tuple[TypeRow, ...]:
    rows = []
    for name in sorted({label for label in seen.labels if label != GOOD}):
        of_type = np.array([label == name for label in seen.labels])
        chosen = of_type | ~bad
        counts = _count(scores[of_type], zones) if zones else None
        n = int(of_type.sum())
        pixels = seen.pixels.get(name)
        if pixels is not None and GOOD in seen.pixels:
            pixels = pixels.merged(seen.pixels[GOOD])
        rows.append(
            TypeRow(
                name,
                n,
                auroc(scores[chosen], bad[chosen]) if not bad.all() else None,
                counts,
                share_interval(counts["pass"], n, confidence) if counts else None,
                pixels.auroc() if pixels is not None else None,
                pixels.aupro(0.3) if pixels is not None else None,
            )
        )
    return tuple(rows)


def _count(scores: NDArray[np.float64], zones: Zones) -> dict[str, int]:
    found = [zones.judge(float(score)).outcome for score in scores]
    return {outcome: found.count(outcome) for outcome in OUTCOMES}


def _outcomes(
    scores: NDArray[np.float64], bad: NDArray[np.bool_], zones: Zones | None
) -> dict[str, dict[str, int]] | None:
    if zones is None:
        return None
    return {GOOD: _count(scores[~bad], zones), "defective": _count(scores[bad], zones)}


def _intervals(
    scores: NDArray[np.float64], bad: NDArray[np.bool_], zones: Zones | None, confidence: float
) -> dict[str, tuple[float, float]]:
    """Exact intervals of the shares that decide: false rejects and escapes."""
    if zones is None:
        return {}
    good, defective = scores[~bad], scores[bad]
    rejected = int((good > zones.fail_above).sum())
    escaped = int((defective <= zones.review_above).sum())
    return {
        "false_reject": share_interval(rejected, len(good), confidence),
        "escape": share_interval(escaped, len(defective), confidence),
    }


def _sweep(
    scores: NDArray[np.float64], bad: NDArray[np.bool_]
) -> tuple[dict[str, float | None], ...]:
    """Rates at thresholds between the scores, from the lowest to the highest."""
    steps = steps_of(scores, bad)
    n = len(steps.scores)
    chosen = np.unique(np.linspace(0, n - 1, min(n, SWEEP)).round().astype(int))[::-1]
    rows = []
    for step in chosen:
        threshold = steps.threshold(int(step))
        rates = confusion(scores, bad, above=threshold).to_dict()
        wanted = ("accuracy", "precision", "recall", "fpr", "fnr", "f1")
        rows.append({"threshold": threshold, **{name: rates[name] for name in wanted}})
    return tuple(rows)


def _mistakes(
    seen: _Seen, scores: NDArray[np.float64], bad: NDArray[np.bool_], zones: Zones | None
) -> tuple[dict[str, Any], ...]:
    """Escapes first, then rejected good parts, the grossest of each first."""
    if zones is None:
        return ()
    escaped = np.flatnonzero(bad & (scores <= zones.review_above))
    rejected = np.flatnonzero(~bad & (scores > zones.fail_above))
    order = [
        *escaped[np.argsort(scores[escaped], kind="stable")],
        *rejected[np.argsort(-scores[rejected], kind="stable")],
    ]
    return tuple(
        {
            "name": seen.names[i],
            "label": seen.labels[i],
            "score": float(scores[i]),
            "verdict": zones.judge(float(scores[i])).outcome,
        }
        for i in order[:MISTAKES]
    )


def _notes(
    seen: _Seen, bad: NDArray[np.bool_], pixel: dict[str, Bounded] | None
) -> tuple[str, ...]:
    notes = []
    if not bad.any():
        notes.append(ONLY_GOOD)
    elif bad.all():
        notes.append(ONLY_BAD)
    if seen.without_mask:
        notes.append(
            f"{seen.without_mask} defective image{'s have' if seen.without_mask > 1 else ' has'} "
            "no mask and stayed out of the pixel metrics."
        )
    worst = max((metric.error for metric in (pixel or {}).values()), default=0.0)
    if worst > ERROR_STATED:
        notes.append(
            f"Pixel metrics are exact to {worst:.1e} only, since most scores lie very close "
            "together: ask for exact ones (they keep all pixels in memory)."
        )
    return tuple(notes)


_PLAIN: dict[type, Callable[[Any], Any]] = {
    Interval: lambda x: {**x.__dict__},
    Bounded: lambda x: {**x.__dict__},
    TypeRow: lambda x: {name: _plain(value) for name, value in x.__dict__.items()},
    Confusion: Confusion.to_dict,
    Zones: Zones.to_dict,
    tuple: lambda x: [_plain(item) for item in x],
    list: lambda x: [_plain(item) for item in x],
    dict: lambda x: {name: _plain(item) for name, item in x.items()},
}


def _plain(value: Any) -> Any:
    turn = _PLAIN.get(type(value))
    return turn(value) if turn else value
