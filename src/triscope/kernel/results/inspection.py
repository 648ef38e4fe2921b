"""The answer of one check on one capture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from triscope.kernel.results.finding import Finding
from triscope.kernel.results.heatmap import Heatmap
from triscope.kernel.results.verdict import Verdict


@dataclass(frozen=True, eq=False)
class Inspection:
    """Findings of one check on one capture, its verdict and its evidence.

    ``seconds`` holds the time of the stages: ``read``, ``model``, ``findings``. ``details`` is what
    a kind of answer knows beyond findings, in plain types: probabilities of classes.
    """

    source: str
    verdict: Verdict
    score: float
    findings: tuple[Finding, ...] = ()
    heatmap: Heatmap | None = None
    image_size: tuple[int, int] | None = None
    check: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain types for JSON; the heat map stays out."""
        return {
            "source": self.source,
            "verdict": self.verdict.outcome,
            "reason": self.verdict.reason,
            "score": self.score,
            "findings": [finding.to_dict() for finding in self.findings],
            "image_size": list(self.image_size) if self.image_size else None,
            "check": self.check,
            "seconds": {name: round(value, 6) for name, value in self.seconds.items()},
            "details": dict(self.details),
        }


@dataclass(frozen=True)
class Skipped:
    """An input that could not be inspected, and why; it is counted, never dropped."""

    source: str
    error: str

    def to_dict(self) -> dict[str, Any]:
        """Plain types for JSON."""
        return {"source": self.source, "error": self.error}
