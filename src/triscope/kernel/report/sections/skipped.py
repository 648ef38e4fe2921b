"""Inputs that could not be inspected, each with its reason."""

from __future__ import annotations

from collections.abc import Sequence

from triscope.kernel.report.page import Section, section
from triscope.kernel.results import Skipped

MOST = 2000


def skipped(items: Sequence[Skipped]) -> Section | None:
    """The list of them; None where everything could be read."""
    if not items:
        return None
    return section("skipped", "Not readable", items=items[:MOST], more=max(0, len(items) - MOST))
