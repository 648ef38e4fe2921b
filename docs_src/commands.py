"""``docs/cli.md``: every command with its help, and the keys of its JSON answer."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module

import click

from triscope.cli import program
from triscope.cli._thresholds import threshold_options

HEAD = """# The command line

This page is generated from the commands (`make docs`).

Every command answers people by default and machines with `--json`: one object on stdout, nothing
else there; progress and notes go to stderr. An error with `--json` is an object too: `error` (its
kind), `message`, `exit_code`.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | done, but something failed the check or some inputs could not be read |
| 2 | wrong use: a command, an option or a value that cannot be meant |
| 3 | could not be done |
| 130 | stopped by Ctrl-C |

`triscope fit MODEL --help` also shows the settings of that model; [models.md](models.md) lists
them. Settings can stand in a TOML file, one `name = value` a line: `--settings bottle.toml`.
"""
WIDTH = 92


def commands_page() -> str:
    """The whole page."""
    parts = [HEAD]
    for name, command, context in leaves():
        parts.append(f"## {name}\n\n```\n{_help(command, context)}\n```\n")
        keys = keys_of(command)
        if keys:
            rows = "\n".join(f"| `{key}` | {_cell(text)} |" for key, text in keys.items())
            parts.append(
                f"`--json` answers an object with\n\n| key | what it holds |\n|---|---|\n{rows}\n"
            )
    return "\n".join(parts)


def leaves() -> Iterator[tuple[str, click.Command, click.Context]]:
    """Every command that does something: its name, itself and its context; ``fit`` is one."""
    root = program()
    yield from _leaves(root, click.Context(root, info_name="triscope", **root.context_settings))


def keys_of(command: click.Command) -> Mapping[str, str]:
    """The documented keys of the command's JSON answer: ``KEYS`` beside its function."""
    if command.name == "fit":
        return import_module("triscope.cli.fit").KEYS  # type: ignore[no-any-return]
    module = inspect.getmodule(inspect.unwrap(command.callback or (lambda: None)))
    return getattr(module or sys, "KEYS", {})


def _leaves(
    group: click.Group, context: click.Context
) -> Iterator[tuple[str, click.Command, click.Context]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, parent=context, info_name=name, **command.context_settings)
        if isinstance(command, click.Group) and name != "fit":
            yield from _leaves(command, inner)
        else:
            yield inner.command_path, command, inner


def _help(command: click.Command, context: click.Context) -> str:
    if command.name == "fit":
        return _fit_help()
    context.terminal_width = WIDTH
    return command.get_help(context).rstrip()


def _fit_help() -> str:
    """The options of ``fit`` without the settings of any model."""
    from triscope.cli.fit import command, own_options

    model = "MODEL is one of 'triscope models'."
    data = "DATA is a folder of good parts, a data set, a glob or an address."
    shown = click.Command(
        "fit",
        params=[click.Argument(["model"]), click.Argument(["data"]), *own_options()],
        help=f"{command.help}\n\n{model} {data}",
    )
    shown.params += threshold_options()
    context = click.Context(shown, info_name="triscope fit", terminal_width=WIDTH)
    return shown.get_help(context).rstrip()


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
