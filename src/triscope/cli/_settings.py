"""Command line flags from the Settings dataclass of the chosen model."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import Any

import click

from triscope.errors import BadSettings
from triscope.kernel import config

PREFIX = "setting_"


def flags_of(cls: type, own: set[str]) -> list[click.Option]:
    """One flag a setting; a name that the command has as an option of its own serves both."""
    return [_flag(setting) for setting in config.settings_of(cls) if setting.name not in own]


def settings_from(
    cls: type,
    flags: Mapping[str, Any],
    own: Mapping[str, Any],
    file: Path | None,
    defaults: Mapping[str, Any] | None = None,
) -> Any:
    """The Settings object: defaults, then the TOML file, then the flags that were given.

    ``own`` holds options of the command that the user gave; those that are settings too are set.
    ``defaults`` are those of the class unless given.
    """
    names = {setting.name for setting in config.settings_of(cls)}
    given = {
        name.removeprefix(PREFIX): value
        for name, value in flags.items()
        if name.startswith(PREFIX) and value is not None
    }
    given |= {name: value for name, value in own.items() if name in names and value is not None}
    return config.build(cls, {**(defaults or {}), **(read_toml(file) if file else {}), **given})


def read_toml(path: Path) -> dict[str, Any]:
    """The settings in a TOML file, flat, as ``name = value``; or those of a recipe by its name."""
    from triscope.kernel import catalogue

    if not path.exists() and path.suffix == "":
        found = catalogue.recipe(str(path))
        if found is None:
            known = ", ".join(catalogue.recipes())
            raise BadSettings(f"{path} is neither a file nor a recipe. The recipes are: {known}.")
        path = found
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path} cannot be read as TOML: {error}.") from error
    tables = [name for name, value in values.items() if isinstance(value, Mapping)]
    if tables:
        raise BadSettings(f"{path}: expected lines 'name = value', but [{tables[0]}] is a table.")
    return values


def _flag(setting: config.Setting) -> click.Option:
    plain = setting.flag
    switch = setting.type is bool
    return click.Option(
        [f"{plain}/--no-{plain[2:]}" if switch else plain, f"{PREFIX}{setting.name}"],
        default=None,
        type=bool if switch else str,
        metavar=None if switch else _metavar(setting.type),
        help=f"{_sentence(setting.help)} {_default(setting)}".strip(),
    )


def _metavar(kind: Any) -> str:
    words = config.describe(kind)
    short = {"a whole number": "N", "a number": "X", "a text": "TEXT"}
    if words.startswith("one of "):
        return f"[{'|'.join(words.removeprefix('one of ').split(', '))}]"
    if words.endswith("separated by commas"):
        return "X,X,..."
    for long, mark in short.items():
        words = words.replace(long, mark)
    return words.replace(" or nothing", "").replace(" or ", "|")


def _sentence(text: str) -> str:
    """The comment behind a field as a sentence."""
    text = text.strip() or "not described"
    return text[0].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _default(setting: config.Setting) -> str:
    if setting.default is MISSING:
        return "[required]"
    value = setting.default
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    if isinstance(value, bool):
        value = "yes" if value else "no"
    return f"[default: {value}]" if value not in ("", None) else ""
