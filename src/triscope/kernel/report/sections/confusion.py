"""Which class was taken for which: a row a true class, a column a class that was found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from triscope.kernel.report.page import Section, section


def confusion(known: Mapping[str, Any]) -> Section | None:
    """The table of ``evaluation.known`` of classes, each cell shaded by its share of the row."""
    table = known.get("matrix")
    if not table or not any(map(sum, table)):
        return None
    names = [row["name"] for row in known["classes"]]
    rows = [
        (name, sum(counts), [(count, _share(count, sum(counts))) for count in counts], i)
        for i, (name, counts) in enumerate(zip(names, table, strict=True))
    ]
    return section(
        "confusion", "Confusion", names=names, rows=rows, unknown=known.get("unknown") or {}
    )


def _share(count: int, total: int) -> int:
    """In percent; rounded up, so that a single mistake is never invisible."""
    return -(-100 * count // total) if total else 0
