"""Pass, review or fail, and the zones that decide it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Outcome = Literal["pass", "review", "fail"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


@dataclass(frozen=True)
class Verdict:
    """What to do with the part, and why."""

    outcome: Outcome
    reason: str

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise ValueError(f"a verdict is one of {OUTCOMES}, got {self.outcome!r}")

    def __str__(self) -> str:
        return self.outcome


@dataclass(frozen=True)
class Zones:
    """Thresholds on the raw score: fail above ``fail_above``, review above ``review_above``.

    ``pixel_above`` cuts the heat map into regions; regions that are smaller, shorter or narrower
    than ``min_area_px``, ``min_length_px``, ``min_width_px`` (pixels of the capture) are not
    findings. ``basis`` says in a sentence what the numbers promise.
    """

    review_above: float
    fail_above: float
    pixel_above: float | None = None
    min_area_px: float = 0.0
    min_length_px: float = 0.0
    min_width_px: float = 0.0
    basis: str = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.review_above) and math.isfinite(self.fail_above)):
            raise ValueError("thresholds are finite numbers")
        if self.review_above > self.fail_above:
            raise ValueError(
                f"review starts below fail: review_above={self.review_above:g}, "
                f"fail_above={self.fail_above:g}"
            )

    def judge(self, score: float) -> Verdict:
        """The verdict of one raw score."""
        if not math.isfinite(score):
            return Verdict("review", f"the score is {score}: a person must look")
        if score > self.fail_above:
            return Verdict(
                "fail", f"score {score:.4g} is above the fail line {self.fail_above:.4g}"
            )
        if score > self.review_above:
            return Verdict(
                "review", f"score {score:.4g} is above the review line {self.review_above:.4g}"
            )
        return Verdict("pass", f"score {score:.4g} is within {self.review_above:.4g}")

    def to_dict(self) -> dict[str, Any]:
        """Plain types for the card."""
        return asdict(self)
