"""The page of results: each script writes its own section and leaves the others as they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.machine import machine

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks" / "surface.md"
ORDER = ("aupro", "fit", "inspect", "stream", "start", "accuracy")
TITLE = """# Benchmarks: surface

Written by `make bench`; every section by the script that it names. CPU seconds are those of one
thread (`OMP_NUM_THREADS=1`), user and system, of a process of its own; both sides alternate in one
run. Memory is the peak resident set of that process. Data: `shared/data` beside the repository, as
its notes describe.
"""


@dataclass(frozen=True)
class Section:
    """One claim: what was measured, against what, and whether it held."""

    name: str
    title: str
    text: str
    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    command: str
    short_of: Sequence[str] = ()
    notes: Sequence[str] = field(default=())


def write(
    section: Section, page: Path = PAGE, *, title: str = TITLE, first: Sequence[str] = ORDER
) -> str:
    """Put the section in its place on the page; answers the section's text."""
    text = render(section)
    found = _sections(page.read_text(encoding="utf-8")) if page.is_file() else {}
    found[section.name] = text
    order = [*first, *sorted(set(found) - set(first))]
    body = "\n".join(found[name] for name in order if name in found)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(f"{title}\n{body}", encoding="utf-8")
    return text


def render(section: Section) -> str:
    """The section as Markdown between its marks."""
    lines = [f"<!-- {section.name} -->", f"## {section.title}", "", section.text, ""]
    lines += _table(section.header, section.rows)
    lines += ["", *(f"- {note}" for note in section.notes)] if section.notes else []
    fall = [f"- {item}" for item in section.short_of] or ["- Nothing."]
    lines += ["", "Falls short:", "", *fall, ""]
    lines += [f"Command: `{section.command}`. Machine: {machine()}.", ""]
    return "\n".join([*lines, f"<!-- /{section.name} -->", ""])


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    wrong = [row for row in rows if len(row) != len(header)]
    if wrong:
        raise ValueError(f"{len(header)} columns in the header, {len(wrong[0])} in {wrong[0]}")
    sides = ["---" if i == 0 else "---:" for i in range(len(header))]
    table = [list(map(str, header)), sides, *([str(cell) for cell in row] for row in rows)]
    return ["| " + " | ".join(row) + " |" for row in table]


def _sections(text: str) -> dict[str, str]:
    marks = re.finditer(r"<!-- (\w+) -->\n.*?<!-- /\1 -->\n", text, flags=re.DOTALL)
    return {mark.group(1): mark.group(0) for mark in marks}
