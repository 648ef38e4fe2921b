"""Options that several verbs share, and a short way to write one."""

from __future__ import annotations

from typing import Any

import click


def option(spelled: str, metavar: str, help: str, **more: Any) -> click.Option:
    """An option from its spellings ("-o --output"), what stands for its value, and its help."""
    default = more.get("default")
    shown = default not in (None, 0, "", False)
    return click.Option(spelled.split(), metavar=metavar, help=help, show_default=shown, **more)


def workers() -> click.Option:
    """How many threads read ahead."""
    return option("--workers", "N", "Threads that read ahead.", default=1)


def mm_per_px() -> click.Option:
    """The size of a pixel."""
    return option("--mm-per-px", "X", "Size of a pixel, for measures in mm.", type=float)


def explain() -> click.Option:
    """The flag that asks for evidence in videos."""
    text = "Draw where and when a network of clips saw its answer (Grad-CAM)."
    return click.Option(["--explain"], is_flag=True, help=text)


def json_flag() -> click.Option:
    """The flag of every verb."""
    text = "Answer with one JSON object on stdout."
    return click.Option(["--json", "as_json"], is_flag=True, help=text)


def add(command: click.Command, *options: click.Parameter) -> None:
    """Put options before those that the command has, behind its arguments."""
    place = sum(isinstance(param, click.Argument) for param in command.params)
    command.params[place:place] = options
