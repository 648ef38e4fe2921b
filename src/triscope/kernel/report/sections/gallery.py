"""Pictures, worst first: the capture, its heat, and the contours of what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from triscope.kernel.report.page import Section, common_folder, section
from triscope.kernel.report.pictures import Polygon, scale_of
from triscope.kernel.results import Inspection


@dataclass(frozen=True, eq=False)
class Shown:
    """One capture with its picture. ``truth`` holds the outlines of the known defect."""

    inspection: Inspection
    label: str
    good: bool | None
    picture: str
    heat: dict[str, Any] | None = None
    levels: tuple[float, float] | None = None
    truth: list[Polygon] = field(default_factory=list)


def gallery(shown: Sequence[Shown], total: int, pixel_above: float | None) -> Section:
    """The gallery of some of ``total`` captures; drawn in the page as it is scrolled."""
    ordered = sorted(shown, key=lambda item: _rank(item.inspection.score), reverse=True)
    scale = scale_of([item.levels for item in shown if item.levels], pixel_above)
    folder = common_folder([item.inspection.source for item in ordered])
    data = {
        "items": [_item(item) for item in ordered],
        "folder": folder,
        "scale": [scale.low, scale.middle, scale.high],
    }
    return section(
        "gallery",
        "Pictures",
        data,
        shown=len(shown),
        total=total,
        heat=any(item.heat for item in shown),
        found=any(item.inspection.findings for item in shown),
        truth=any(item.truth for item in shown),
        labelled=any(item.good is not None for item in shown),
    )


def _rank(score: float) -> float:
    return score if score == score else float("inf")


def _item(item: Shown) -> dict[str, Any]:
    seen = item.inspection
    return {
        "name": seen.source,
        "score": seen.score if abs(seen.score) < float("inf") else None,
        "reason": seen.verdict.reason,
        "label": item.label,
        "shows": str(seen.details.get("label", "")),
        "good": -1 if item.good is None else int(item.good),
        "size": list(seen.image_size or (1, 1)),
        "picture": item.picture,
        "heat": item.heat,
        "findings": [_finding(finding.to_dict()) for finding in seen.findings[:40]],
        "found": len(seen.findings),
        "truth": [_rounded(line) for line in item.truth],
    }


def _finding(plain: dict[str, Any]) -> dict[str, Any]:
    if "outline" in plain:
        plain["outline"] = _rounded(plain["outline"])
    return plain


def _rounded(line: Sequence[Sequence[float]]) -> list[list[float]]:
    return [[round(x, 1), round(y, 1)] for x, y in line]
