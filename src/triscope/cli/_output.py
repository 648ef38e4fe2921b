"""Answers: for people through rich, for machines as one JSON object on stdout."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

Keys = Mapping[str, str]
WIDE = 160  # columns where no terminal says how many

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Answer with one JSON object on stdout."
)


def emit(answer: Mapping[str, Any], keys: Keys) -> None:
    """Print the answer as one JSON object.

    ``keys`` documents the object, a line a key; docs/cli.md shows them. An answer with other keys
    than the documented ones is an error of the programmer, so the documentation stays true.
    """
    if set(answer) != set(keys):
        raise RuntimeError(f"documented are {sorted(keys)}, answered were {sorted(answer)}")
    click.echo(json.dumps(plain(answer), allow_nan=False))


def plain(value: Any) -> Any:
    """Plain JSON types: paths and NumPy values converted, numbers that are not finite as null."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, str | int | bool) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # arrays and scalars of NumPy
        return plain(value.tolist())
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    return str(value)


def people(*, stderr: bool = False) -> Console:
    """A rich console; stdout for answers, stderr for everything else."""
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = WIDE
    return console


def note(text: str) -> None:
    """One line on stderr."""
    click.echo(text, err=True)


def show_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    right: Iterable[int] = (),
    coloured: int = -1,
) -> None:
    """A table on stdout; the columns of ``right`` hold numbers, ``coloured`` an outcome."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        title=title or None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
    )
    numbers = set(right)
    for place, name in enumerate(columns):
        table.add_column(name, justify="right" if place in numbers else "left", overflow="fold")
    for row in rows:
        cells = [escape(str(cell)) for cell in row]
        table.add_row(*(outcome(c) if i == coloured else c for i, c in enumerate(cells)))
    console = people()
    console.soft_wrap = False
    console.print(table)
    console.print()


COLOURS = {"pass": "green", "review": "yellow", "fail": "red"}


def outcome(name: str) -> str:
    """The outcome in its colour, as rich markup."""
    return f"[{COLOURS.get(name, 'white')}]{name}[/]"
