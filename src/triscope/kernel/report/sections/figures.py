"""Measured quality, where the parts were labelled: a name, a value, an interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from triscope.kernel.report.page import Section, section


@dataclass(frozen=True)
class Figure:
    """One measured figure; ``interval`` is at 95 %, ``meaning`` says in words what it counts."""

    name: str
    value: str
    interval: str = ""
    meaning: str = ""


def figures(lines: Sequence[Figure], note: str = "") -> Section | None:
    """A table of figures; None where there are none."""
    if not lines:
        return None
    with_interval = any(line.interval for line in lines)
    return section("figures", "Figures", lines=lines, note=note, with_interval=with_interval)
