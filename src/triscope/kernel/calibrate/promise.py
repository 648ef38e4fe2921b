"""Thresholds by promise: "at most 1 % of good parts are rejected, with 95 % confidence".

The lines are order statistics of held-out good scores (see ``order.py``). What is promised holds
for new good parts that come from where the held-out ones came from, whatever their distribution.
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from triscope.errors import BadSettings
from triscope.kernel.calibrate.decision import Decision, escapes, outcomes
from triscope.kernel.calibrate.order import (
    above_line,
    check_shares,
    line_for,
    lowest_promise,
    percent,
    scores_of,
)
from triscope.kernel.results import Zones


def by_promise(
    good_scores: ArrayLike,
    *,
    false_reject: float = 0.01,
    confidence: float = 0.95,
    review: float | None = None,
    defect_scores: ArrayLike | None = None,
) -> Decision:
    """Zones under which at most ``false_reject`` of good parts fail.

    ``good_scores`` (n,) are of good parts that the model never learned from. ``review`` is the
    share of good parts that may go to a person besides (the default is twice ``false_reject``; 0
    leaves out the zone): fail and review together keep to the sum, with the same confidence.
    ``defect_scores`` move no line; what is known of escapes is recorded from them.

    Raises PromiseTooLow where there are too few good parts.
    """
    good = scores_of(good_scores, "good parts")
    defects = None if defect_scores is None else scores_of(defect_scores, "defects")
    passing_over = _both(false_reject, review, confidence)
    n = len(good)
    fail_above = line_for(good, false_reject, confidence)
    lines = (line_for(good, passing_over, confidence), fail_above)
    counts = outcomes(good, Zones(*lines))
    basis = (
        f"At most {percent(false_reject)} of good parts fail, and at most {percent(passing_over)} "
        f"do not pass, with {percent(confidence)} confidence each (from {n} good parts: "
        f"{counts['fail']} failed, {counts['review']} to review)."
    )
    zones = Zones(*lines, basis=basis)
    promise = {
        "kind": "promise",
        "false_reject": false_reject,
        "review": passing_over - false_reject,
        "confidence": confidence,
        "good_parts": n,
        "good_outcomes": counts,
        "false_reject_expected": (above_line(n, false_reject, confidence) + 1) / (n + 1),
        "lowest_promise": lowest_promise(n, confidence),
        **escapes(defects, zones, confidence),
        "basis": basis,
    }
    return Decision(zones, promise)


def _both(false_reject: float, review: float | None, confidence: float) -> float:
    check_shares(false_reject=false_reject, confidence=confidence)
    review = min(2 * false_reject, (1 - false_reject) / 2) if review is None else review
    if not 0 <= review < 1 - false_reject:
        raise BadSettings(
            f"review is a share in [0, 1 - false_reject), got {review} with "
            f"false_reject={false_reject}."
        )
    return false_reject + review
