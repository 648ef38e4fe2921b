"""The sections of what is measured of known defects: boxes, classes, masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from triscope.kernel.report.page import Section
from triscope.kernel.report.sections.classes import classes
from triscope.kernel.report.sections.confusion import confusion
from triscope.kernel.report.sections.curves import curves


def known_sections(known: Mapping[str, Any] | None) -> list[Section]:
    """From ``evaluation.known``; none for models of good parts."""
    parts = [make(known or {}) for make in (confusion, classes, curves)]
    return [part for part in parts if part is not None]
