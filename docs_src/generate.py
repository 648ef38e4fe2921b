"""The generated parts of the documentation: ``python -m docs_src.generate`` writes them.

Between ``<!-- generated: NAME -->`` and ``<!-- end -->`` stands the text of that name; the code
block behind ``<!-- file: docs_src/NAME.py -->`` holds that file. ``docs/cli.md`` and
``docs/models.md`` are generated whole. A test compares.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from docs_src.commands import commands_page
from docs_src.model_tables import models_page, models_table

ROOT = Path(__file__).resolve().parent.parent
WHOLE: dict[str, Callable[[], str]] = {
    "docs/cli.md": commands_page,
    "docs/models.md": models_page,
}
PARTS: dict[str, Callable[[], str]] = {"models": models_table}
PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
BLOCK = re.compile(r"(<!-- file: (\S+) -->\n```(\w+)\n).*?(```)", re.DOTALL)


def wanted() -> dict[Path, str]:
    """Each page with generated parts, and the text that it should have."""
    pages = {ROOT / name: make() for name, make in WHOLE.items()}
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        if path not in pages:
            text = path.read_text(encoding="utf-8")
            pages[path] = BLOCK.sub(_block, PART.sub(_part, text))
    return pages


def outdated() -> list[Path]:
    """Pages that differ from what they should be."""
    return [path for path, text in wanted().items() if _text_of(path) != text]


def main() -> int:
    """Write what is outdated."""
    for path, text in wanted().items():
        if _text_of(path) != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")
    return 0


def example(path: str) -> str:
    """A file of examples without its docstring: what a reader should type."""
    text = (ROOT / path).read_text(encoding="utf-8")
    return re.sub(r'\A""".*?"""\n+', "", text, flags=re.DOTALL)


def _part(found: re.Match[str]) -> str:
    return f"{found[1]}{PARTS[found[2]]()}{found[3]}"


def _block(found: re.Match[str]) -> str:
    return f"{found[1]}{example(found[2])}{found[4]}"


def _text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


if __name__ == "__main__":
    sys.exit(main())
