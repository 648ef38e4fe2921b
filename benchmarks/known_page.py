"""The page of the models that learn from labels: each script writes its own sections."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from benchmarks import page
from benchmarks.machine import machine

PAGE = page.ROOT / "docs" / "benchmarks" / "known_defects.md"
TITLE = """# Benchmarks: known defects

Every section is written by the script that it names. Data: `shared/data` beside the repository, as
its notes describe; `neu_det` has 1260 training and 540 test images, as split there. The backbone is
MobileNetV2 pretrained on ImageNet (`shared/data/weights`), seed 0. Nothing was chosen on the test
images: the last weights of a fixed schedule are scored.
"""
ROWS = PAGE.with_suffix(".json")  # of sections whose trained networks are on several machines
ORDER = (
    "precision",
    "few_proposals",
    "recall",
    "failures",
    "heads",
    "levels",
    "placements",
    "schedules",
    "alone",
    "classes",
    "weak",
    "masks",
    "windows",
    "detect_speed",
    "compression",
    "step_share",
)


def write(section: page.Section) -> str:
    """Put the section in its place; answers its text."""
    return page.write(section, PAGE, title=TITLE, first=ORDER)


def with_earlier(section: page.Section) -> page.Section:
    """The section with the rows of earlier reports that are not measured now, and says of which.

    Rows are kept in a file beside the page, each with the machine that it was measured on.
    """
    kept = json.loads(ROWS.read_text(encoding="utf-8")) if ROWS.is_file() else {}
    rows = {_key(section, row["cells"]): row for row in kept.get(section.name, [])}
    for cells in section.rows:
        now = {"machine": machine(), "cells": [str(cell) for cell in cells]}
        rows[_key(section, cells)] = now
    if not rows:
        return section
    kept[section.name] = list(rows.values())
    lines = ",\n".join(
        f' "{name}": [\n'
        + ",\n".join("  " + json.dumps(r, ensure_ascii=False) for r in some)
        + "\n ]"
        for name, some in sorted(kept.items())
    )
    ROWS.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    elsewhere: dict[str, list[str]] = {}
    for key, row in rows.items():
        if row["machine"] != machine():
            elsewhere.setdefault(row["machine"], []).append(key)
    notes = [
        f"Measured on {where}: {'all rows' if len(keys) == len(rows) else '; '.join(keys)}."
        for where, keys in elsewhere.items()
    ]
    merged = [row["cells"] for row in rows.values()]
    return replace(section, rows=merged, notes=[*section.notes, *notes])


def _key(section: page.Section, cells: Sequence[object]) -> str:
    """What was trained, and for how many updates."""
    named = 2 if section.header[1] == "updates" else 1
    return ", ".join(str(cell) for cell in cells[:named])
