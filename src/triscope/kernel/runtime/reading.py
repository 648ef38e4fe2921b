"""What passes through a check: a capture made ready, what was read from it, who compares it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from triscope.kernel.data import Sample
from triscope.kernel.results import Finding, Heatmap


@dataclass(frozen=True, eq=False)
class Prepared:
    """A capture as the graph wants it; ``read_s`` is how long it took to get there.

    ``inputs`` are named arrays whose first axis is the same, or stand-ins that make a slice of it
    when it is asked for; ``image_size`` (h, w) is that of the capture. ``extra`` is what the reader
    needs to find its way back.
    """

    inputs: Mapping[str, Any]
    image_size: tuple[int, int]
    read_s: float
    extra: Any = None

    @property
    def rows(self) -> int:
        """How many rows of the graph's input this capture takes: 1, or one a window."""
        return len(next(iter(self.inputs.values())))


@dataclass(frozen=True, eq=False)
class Reading:
    """What a check saw before anything was decided: the raw score, findings and evidence."""

    score: float
    findings: tuple[Finding, ...] = ()
    heatmap: Heatmap | None = None
    details: Mapping[str, Any] = field(default_factory=dict)  # plain types, for the inspection
    candidates: tuple[Finding, ...] = ()  # findings before the zones left some out, for metrics


class Examiner(Protocol):
    """Compares readings with labels in the words of one kind of answer."""

    def take(self, sample: Sample, reading: Reading) -> None:
        """One labelled capture; DataError where its label cannot be read."""

    def result(self) -> dict[str, Any]:
        """The figures, as plain types."""
