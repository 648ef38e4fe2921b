"""Tables of the models, from the catalogue and from their Settings."""

from __future__ import annotations

import re
from dataclasses import MISSING
from itertools import groupby
from typing import Any

from triscope.kernel import catalogue, config

HEAD = """# Models

This page is generated from the sources of the models (`make docs`). `triscope models` lists them,
`triscope fit MODEL --help` shows the same settings as flags.
"""
ANSWERS = {
    "Heatmap": "where it looks unlike good parts",
    "Boxes": "boxes of known defects",
    "Label": "the class of the part",
    "Masks": "masks of known defects, or of what was asked for",
    "Depth": "depth of a scene",
    "Moments": "what happens, and when",
}


def models_table() -> str:
    """One line a kind of answer of each domain, for the README."""
    rows = []
    for domain, entries in groupby(_ordered(), key=lambda e: e.domain):
        kinds: dict[str, list[str]] = {}
        for entry in entries:
            kinds.setdefault(entry.answers, []).append(f"`{entry.name}`")
        rows += [
            f"| {domain} | {ANSWERS.get(answers, answers)} | {', '.join(names)} |"
            for answers, names in sorted(
                kinds.items(), key=lambda kind: list(ANSWERS).index(kind[0])
            )
        ]
    head = "| domain | answers | models |\n|---|---|---|"
    return "\n".join([head, *rows]) + "\n"


def models_page() -> str:
    """Every model with its settings."""
    parts = [HEAD]
    for domain, entries in groupby(_ordered(), key=lambda e: e.domain):
        parts.append(f"## {domain}\n")
        for entry in entries:
            parts.append(f"### {entry.name}\n\n{entry.summary}\n")
            parts.append(f"Answers {entry.answers}: {ANSWERS.get(entry.answers, '')}.\n")
            parts.append(_settings(catalogue.settings_class(entry.name)))
    return "\n".join(parts)


def _ordered() -> list[catalogue.Entry]:
    return sorted(
        catalogue.models().values(), key=lambda e: (e.domain != "surface", e.domain, e.name)
    )


def _settings(cls: type) -> str:
    head = "| setting | default | takes | what it is |\n|---|---|---|---|"
    rows = []
    for setting in config.settings_of(cls):
        kind, text = _plain(config.describe(setting.type)), _plain(setting.help)
        rows.append(f"| `{setting.name}` | {_value(setting.default)} | {kind} | {text} |")
    return "\n".join([head, *rows]) + "\n"


def _value(value: Any) -> str:
    if value is MISSING:
        return "required"
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    return f"`{value}`" if value not in ("", None) else "–"


def _plain(text: str) -> str:
    """Text that cannot break a table, with arXiv numbers as links."""
    text = text.replace("|", "\\|").replace("<", "&lt;")
    return re.sub(r"arXiv:(\d{4}\.\d{4,5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", text)
