"""One thing seen: where, what and how much."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

Box = tuple[float, float, float, float]
Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Finding:
    """One thing seen on one capture, in the pixels of the capture as it was given.

    ``box`` is xyxy, end-exclusive; ``outline`` a closed polygon of (x, y) points; ``span_s`` is
    [start, end) in seconds; ``measures`` carry their unit in the name: ``area_px``, ``length_mm``.
    """

    label: str
    score: float
    box: Box | None = None
    outline: Points = ()
    span_s: tuple[float, float] | None = None
    measures: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not math.isfinite(self.score):
            raise ValueError(f"a finding needs a finite score, got {self.score}")
        if self.box is not None:
            x0, y0, x1, y1 = self.box
            if not (x0 <= x1 and y0 <= y1):
                raise ValueError(f"a box is (x0, y0, x1, y1) with x0 <= x1, y0 <= y1: {self.box}")
        if self.span_s is not None and not self.span_s[0] <= self.span_s[1]:
            raise ValueError(f"a span is [start, end) with start <= end: {self.span_s}")
        object.__setattr__(self, "measures", MappingProxyType(dict(self.measures)))

    def to_dict(self) -> dict[str, Any]:
        """Plain types for JSON; absent parts are left out."""
        plain: dict[str, Any] = {"label": self.label, "score": self.score}
        if self.box is not None:
            plain["box"] = list(self.box)
        if self.outline:
            plain["outline"] = [list(point) for point in self.outline]
        if self.span_s is not None:
            plain["span_s"] = list(self.span_s)
        if self.measures:
            plain["measures"] = dict(self.measures)
        return plain
