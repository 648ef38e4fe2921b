"""A frozen ``Settings`` dataclass <-> command line flags <-> TOML.

The comment behind each field is its help text. Types are read from the annotations: ``bool``,
``int``, ``float``, ``str``, ``X | None``, ``Literal[...]`` and ``tuple[X, ...]``.
"""

from __future__ import annotations

import difflib
import inspect
import io
import tokenize
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from triscope.errors import BadSettings

S = TypeVar("S")


@dataclass(frozen=True)
class Setting:
    """One field of a Settings class."""

    name: str
    type: Any
    default: Any
    help: str

    @property
    def flag(self) -> str:
        """The command line spelling: ``--keep-share``."""
        return "--" + self.name.replace("_", "-")


def settings_of(cls: type) -> tuple[Setting, ...]:
    """The fields of a Settings class, base classes first."""
    hints = typing.get_type_hints(cls)
    helps: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        helps |= _comments(base)
    return tuple(
        Setting(f.name, hints[f.name], _default(f), helps.get(f.name, "")) for f in fields(cls)
    )


def build(cls: type[S], values: Mapping[str, Any]) -> S:
    """A Settings object from plain values; strings are read as the field's type."""
    known = {setting.name: setting for setting in settings_of(cls)}
    for name in values:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise BadSettings(f"no setting named {name!r}.{hint} There are: {', '.join(known)}.")
    return cls(**{name: read(known[name], value) for name, value in values.items()})


def from_toml(cls: type[S], path: Path, overrides: Mapping[str, Any] | None = None) -> S:
    """A Settings object from a flat TOML file, with overrides on top."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BadSettings(f"{path} cannot be read as TOML: {error}") from error
    return build(cls, {**values, **(overrides or {})})


def to_dict(settings: Any) -> dict[str, Any]:
    """Plain values of a Settings object; tuples become lists."""
    plain = {}
    for field in fields(settings):
        value = getattr(settings, field.name)
        plain[field.name] = list(value) if isinstance(value, tuple) else value
    return plain


def require(settings: Any, **rules: tuple[bool, str]) -> None:
    """Raise BadSettings for the first rule that does not hold.

    ``require(self, keep=(0 < self.keep <= 1, "a share in (0, 1]"))``
    """
    for name, (holds, expected) in rules.items():
        if not holds:
            raise BadSettings(f"{name}={getattr(settings, name)!r}: expected {expected}.")


def read(setting: Setting, value: Any) -> Any:
    """``value`` (perhaps a string from the command line) as the type of the setting."""
    try:
        return _read(setting.type, value)
    except (TypeError, ValueError) as error:
        raise BadSettings(
            f"{setting.name}={value!r}: expected {describe(setting.type)}."
        ) from error


def describe(kind: Any) -> str:
    """The type in words, for help and messages."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return " or ".join("nothing" if arg is type(None) else describe(arg) for arg in args)
    if origin is typing.Literal:
        return "one of " + ", ".join(map(str, args))
    if origin is tuple:
        return f"{describe(args[0]).removeprefix('a ')}s, separated by commas"
    names = {bool: "yes or no", int: "a whole number", float: "a number", str: "a text"}
    return names.get(kind, str(kind))


def _read(kind: Any, value: Any) -> Any:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        if value is None or (value == "" and type(None) in args):
            return None
        return _first_that_fits([arg for arg in args if arg is not type(None)], value)
    if origin is typing.Literal:
        for choice in args:
            if value == choice or str(value) == str(choice):
                return choice
        raise ValueError(value)
    if origin is tuple:
        items = value.replace(" ", ",").split(",") if isinstance(value, str) else value
        return tuple(_read(args[0], item) for item in items if item != "")
    return _plain(kind, value)


def _first_that_fits(kinds: list[Any], value: Any) -> Any:
    for kind in kinds:
        try:
            return _read(kind, value)
        except (TypeError, ValueError):
            continue
    raise ValueError(value)


def _plain(kind: Any, value: Any) -> Any:
    if kind is bool:
        if isinstance(value, bool):
            return value
        truth = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
        return truth[str(value).lower()] if str(value).lower() in truth else int("no bool")
    if kind is int:
        if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
            raise ValueError(value)
        return int(value)
    if kind is float:
        return float(value)
    if kind is str:
        if not isinstance(value, str | Path):
            raise TypeError(value)
        return str(value)
    return value


def _default(field: Any) -> Any:
    if field.default is not MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not MISSING else MISSING


def _comments(cls: type) -> dict[str, str]:
    """The comment behind ``name: type = default`` for each field written in this class body."""
    try:
        source = inspect.getsource(cls)
    except (OSError, TypeError):
        return {}
    helps: dict[str, str] = {}
    name = ""
    for token in tokenize.generate_tokens(io.StringIO(inspect.cleandoc(source)).readline):
        if token.type == tokenize.NAME and token.line.lstrip().startswith(f"{token.string}:"):
            name = token.string
        elif token.type == tokenize.COMMENT and name:
            helps.setdefault(name, token.string.lstrip("# "))
    return helps
