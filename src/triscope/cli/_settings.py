"""Command line flags from the Settings dataclass of the chosen model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import Any

import click

from triscope.kernel import config

PREFIX = "setting_"


def flags_of(cls: type, taken: set[str]) -> list[click.Option]:
    """One flag a setting; a name that the command itself uses is written ``--model-NAME``."""
    return [_flag(setting, taken) for setting in config.settings_of(cls)]


def settings_from(cls: type, values: Mapping[str, Any], file: Path | None) -> Any:
    """The Settings object: defaults, then the TOML file, then the flags that were given."""
    given = {
        name.removeprefix(PREFIX): value
        for name, value in values.items()
        if name.startswith(PREFIX) and value is not None
    }
    if file is not None:
        return config.from_toml(cls, file, given)
    return config.build(cls, given)


def _flag(setting: config.Setting, taken: set[str]) -> click.Option:
    flag = setting.flag if setting.flag not in taken else f"--model-{setting.flag[2:]}"
    spelled = f"{flag}/--no-{flag[2:]}" if setting.type is bool else flag
    return click.Option(
        [spelled, f"{PREFIX}{setting.name}"],
        default=None,
        metavar=None if setting.type is bool else _metavar(setting.type),
        help=f"{setting.help or 'Not described.'} {_default(setting)}".strip(),
    )


def _metavar(kind: Any) -> str:
    words = config.describe(kind)
    names = {"a whole number": "N", "a number": "X", "a text": "TEXT"}
    return names.get(words, f"[{words}]" if words.startswith("one of") else words.upper())


def _default(setting: config.Setting) -> str:
    if setting.default is MISSING:
        return "[required]"
    value = setting.default
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    if isinstance(value, bool):
        value = "yes" if value else "no"
    return f"[default: {value}]" if value not in ("", None) else ""
