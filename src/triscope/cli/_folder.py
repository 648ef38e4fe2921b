"""A group whose commands are the files of a folder, imported when called."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import Any

import click

from triscope.cli._group import unknown


class FolderVerbs(click.Group):
    """One file a command; its attribute ``command`` is imported when it is called."""

    def __init__(self, name: str, folder: Path, package: str, **more: Any) -> None:
        super().__init__(name, no_args_is_help=True, **more)
        self.folder, self.package = folder, package

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the files."""
        files = (p.stem for p in self.folder.glob("*.py") if not p.name.startswith("_"))
        return sorted(files)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of one file; None where there is none."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"{self.package}.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names; a wrong one is answered with the closest."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            names = self.list_commands(ctx)
            raise click.UsageError(unknown(f"command '{self.name}'", args[0], names), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Names with the first line of each file, which is not imported for it."""
        with formatter.section("Commands"):
            names = self.list_commands(ctx)
            formatter.write_dl([(name, self._summary(name)) for name in names])

    def _summary(self, name: str) -> str:
        text = (self.folder / f"{name}.py").read_text(encoding="utf-8")
        return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0].rstrip(".")
