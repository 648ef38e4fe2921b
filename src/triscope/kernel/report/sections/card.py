"""What the check is: model, settings, data, promise and proof, as its card says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from triscope.kernel.report.page import Section, section
from triscope.kernel.runtime.card import Card

GROUPS = ("settings", "data", "promise", "proof")


def card(of: Card) -> Section:
    """Facts of the card, the long ones folded."""
    version = of.version
    made = ", ".join(filter(None, (version.why, version.created)))
    facts = {
        "model": of.model,
        "version": f"{version.number} ({made})",
        "input": _input(of),
        "engine": f"{of.engine}, {of.precision}",
        "code": of.code,
    }
    if of.zones is not None:
        facts["review above"] = f"{of.zones.review_above:.6g}"
        facts["fail above"] = f"{of.zones.fail_above:.6g}"
        if of.zones.pixel_above is not None:
            facts["region above"] = f"{of.zones.pixel_above:.6g}, from {of.zones.min_area_px:g} px²"
    if of.mm_per_px:
        facts["scale"] = f"{of.mm_per_px:g} mm a pixel"
    groups = [(name, flat(getattr(of, name))) for name in GROUPS if getattr(of, name)]
    return section("card", "The check", facts=facts, groups=groups)


def _input(of: Card) -> str:
    windows = f", windows of {of.tile} px overlapping by {of.overlap}" if of.tile else ""
    return f"{of.size[0]} × {of.size[1]} px{windows}" if any(of.size) else "of any size"


def flat(values: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Nested values as lines ``a.b: text``."""
    lines: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            lines += flat(value, f"{before}{name}.")
        else:
            text = f"{value:.6g}" if isinstance(value, float) else str(value)
            lines.append((before + name, text if len(text) < 300 else text[:300] + " …"))
    return lines
