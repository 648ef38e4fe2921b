"""Thresholds by cost: what an escape, a rejected good part and a look by a person cost.

With the share of defective parts p, D the distribution of defect scores and G of good scores, one
part costs on average, at lines review <= fail,

    p * (escape * D(<= review) + look * D(review, fail])
      + (1 - p) * (reject * G(> fail) + look * G(review, fail])

where a person who looks is taken to be right. The sum falls apart into a term of each line, so the
best pair among all scores is found in one pass. Where a whole gap between two scores costs the
same, the line lies in its middle.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from triscope.errors import BadSettings
from triscope.kernel.calibrate.decision import Decision, outcomes
from triscope.kernel.calibrate.order import Scores, check_shares, percent, scores_of
from triscope.kernel.results import Zones


def by_cost(
    good_scores: ArrayLike,
    defect_scores: ArrayLike,
    *,
    cost_escape: float,
    cost_reject: float,
    cost_review: float | None = None,
    prevalence: float = 0.01,
    confidence: float = 0.95,
) -> Decision:
    """Zones of the lowest expected cost a part, from held-out good parts and defects.

    ``prevalence`` is the share of defective parts on the line, which the number of defects that
    were collected does not tell. Without ``cost_review`` there is no review zone. The lines were
    chosen on these scores, so the record states shares that hold for any line (Dvoretzky, Kiefer
    and Wolfowitz), not only for lines fixed beforehand.
    """
    good = scores_of(good_scores, "good parts")
    defects = scores_of(defect_scores, "defects")
    _check(cost_escape, cost_reject, cost_review, prevalence, confidence)
    look = math.inf if cost_review is None else cost_review
    costs = _Costs(cost_escape, cost_reject, look, prevalence)
    lines, cost = costs.best_lines(good, defects)
    zones = Zones(*lines)
    good_counts, bad_counts = outcomes(good, zones), outcomes(defects, zones)
    spread = math.log(1 / (1 - confidence))
    rejects = min(1.0, good_counts["fail"] / len(good) + math.sqrt(spread / 2 / len(good)))
    missed = min(1.0, bad_counts["pass"] / len(defects) + math.sqrt(spread / 2 / len(defects)))
    looks = "" if cost_review is None else f", {cost_review:g} a look"
    basis = (
        f"The lowest cost at {cost_escape:g} an escape, {cost_reject:g} a rejected good part"
        f"{looks} and {percent(prevalence)} defective: {cost:.3g} a part expected (of {len(good)} "
        f"good parts {good_counts['fail']} failed, of {len(defects)} defects "
        f"{bad_counts['pass']} passed)."
    )
    promise: dict[str, Any] = {
        "kind": "cost",
        "cost_escape": cost_escape,
        "cost_reject": cost_reject,
        "cost_review": cost_review,
        "prevalence": prevalence,
        "confidence": confidence,
        "cost_expected": cost,
        "good_parts": len(good),
        "good_outcomes": good_counts,
        "false_reject_at_most": rejects,
        "defects": len(defects),
        "defect_outcomes": bad_counts,
        "escapes_at_most": missed,
        "basis": basis,
    }
    return Decision(Zones(*lines, basis=basis), promise)


class _Costs:
    """The cost of a pair of lines."""

    def __init__(self, escape: float, reject: float, look: float, prevalence: float) -> None:
        self.escape, self.reject, self.look, self.prevalence = escape, reject, look, prevalence

    def best_lines(self, good: Scores, defects: Scores) -> tuple[tuple[float, float], float]:
        """Review and fail line, and what a part costs with them."""
        cuts = np.unique(np.concatenate([good, defects]))
        cuts = np.concatenate([[np.nextafter(cuts[0], -np.inf)], cuts])  # the first rejects all
        above = 1 - np.searchsorted(np.sort(good), cuts, side="right") / len(good)
        below = np.searchsorted(np.sort(defects), cuts, side="right") / len(defects)
        p, q = self.prevalence, 1 - self.prevalence
        if not math.isfinite(self.look):
            at = p * self.escape * below + q * self.reject * above
            line = _middle(cuts, at)
            return (line, line), float(at.min())
        low = p * (self.escape - self.look) * below + q * self.look * above
        high = p * self.look * below + q * (self.reject - self.look) * above
        total = np.minimum.accumulate(low) + high  # the best review line at or below each fail line
        fail = _middle_index(total)
        review = _middle_index(low[: fail[0] + 1])
        lines = _line(cuts, review), _line(cuts, fail)
        return (min(lines), lines[1]), float(total.min())


def _middle_index(costs: Scores) -> tuple[int, int]:
    """First and last of the first run of cuts that cost the least."""
    same = np.isclose(costs, costs.min(), rtol=1e-12, atol=0.0)
    first = int(np.argmax(same))
    after = np.flatnonzero(~same[first:])
    return first, first + int(after[0]) - 1 if len(after) else len(costs) - 1


def _line(cuts: Scores, run: tuple[int, int]) -> float:
    """The middle of the scores between which the cost stays the least."""
    low = float(cuts[run[0]])
    high = float(cuts[min(run[1] + 1, len(cuts) - 1)])
    middle = low + (high - low) / 2
    return middle if low <= middle < high else low


def _middle(cuts: Scores, costs: Scores) -> float:
    return _line(cuts, _middle_index(costs))


def _check(
    escape: float, reject: float, review: float | None, prevalence: float, confidence: float
) -> None:
    check_shares(prevalence=prevalence, confidence=confidence)
    named = {"cost_escape": escape, "cost_reject": reject, "cost_review": review}
    for name, value in named.items():
        if value is not None and not (math.isfinite(value) and value > 0):
            raise BadSettings(f"{name} is a number above 0, got {value}.")
