"""Look at data, check them, split them, convert them."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import click

from triscope.cli._group import unknown

SECTION = "Looking around"
HERE = Path(__file__).resolve().parent / "_data"


class DataVerbs(click.Group):
    """One file a command in ``cli/_data``; its attribute ``command`` is imported when called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the files."""
        return sorted(p.stem for p in HERE.glob("*.py") if not p.name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of one file; None where there is none."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"triscope.cli._data.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names; a wrong one is answered with the closest."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            names = self.list_commands(ctx)
            raise click.UsageError(unknown("command 'data'", args[0], names), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Names with the first line of each file, which is not imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _summary(name)) for name in self.list_commands(ctx)])


def _summary(name: str) -> str:
    text = (HERE / f"{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0].rstrip(".")


command = DataVerbs(
    "data",
    help="Look at data: a folder, an archive, a glob, a list (.jsonl, .csv) or an address.",
    no_args_is_help=True,
)
