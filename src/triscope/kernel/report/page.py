"""One self-contained page: sections with their styles, scripts and data, and nothing from outside.

A section is a file ``sections/NAME.py`` that makes a :class:`Section`, with ``NAME.html.j2`` beside
it and, where it needs them, ``NAME.css`` and ``NAME.js``. A script registers itself with
``page.section("NAME", (root, data, bus) => ...)``: its element, its data, and events between
sections (``zones``: the thresholds were moved; ``show``: only some captures are wanted).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Section:
    """One part of the page: ``name`` is that of its files, ``data`` what its script reads."""

    name: str
    title: str
    html: str
    data: Any = None


@dataclass(frozen=True)
class Page:
    """What stands above the sections: a title, a line below it, and facts for all scripts."""

    title: str
    subtitle: str = ""
    shared: Mapping[str, Any] = field(default_factory=dict)
    language: str = "en"


def section(name: str, title: str, data: Any = None, **values: Any) -> Section:
    """A section from its template ``sections/NAME.html.j2`` and the values that it shows."""
    html = _templates().get_template(f"sections/{name}.html.j2").render(values)
    return Section(name, title, html, data)


def render(page: Page, sections: Sequence[Section]) -> str:
    """The page as one HTML text."""
    names = list(dict.fromkeys(part.name for part in sections))
    return (
        _templates()
        .get_template("page.html.j2")
        .render(
            page=page,
            sections=sections,
            styles=_assets("css", names),
            scripts=_assets("js", names),
            shared=_json(page.shared),
            data=[_json(part.data) for part in sections],
        )
    )


def write_page(path: Path, page: Page, sections: Sequence[Section]) -> Path:
    """Write the page; an earlier one stays whole until the new one is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        aside.write_text(render(page, sections), encoding="utf-8")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return path


def _assets(kind: str, names: Sequence[str]) -> list[str]:
    paths = [HERE / f"page.{kind}", *(HERE / "sections" / f"{name}.{kind}" for name in names)]
    return [path.read_text(encoding="utf-8") for path in paths if path.is_file()]


def _json(data: Any) -> str:
    """JSON that may stand inside a script element: no ``<`` can end it."""
    text = json.dumps(_plain(data), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _plain(value: Any) -> Any:
    """Plain JSON types: NumPy's numbers and arrays converted, what is not finite as null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


@lru_cache(maxsize=1)
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )


def common_folder(names: Sequence[str]) -> str:
    """The beginning that all names share, up to a ``/``: it is not repeated below each picture."""
    # The first and the last in alphabetical order share no more than all of them do.
    first, last = min(names, default=""), max(names, default="")
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0)
    return first[: first.rfind("/", 0, same) + 1]
