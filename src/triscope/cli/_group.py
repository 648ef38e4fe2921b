"""The group that finds the verbs by their files and imports only the one that runs."""

from __future__ import annotations

import ast
import difflib
import importlib
from dataclasses import dataclass
from pathlib import Path

import click

HERE = Path(__file__).resolve().parent
FIRST = "Checks"
# The main verbs in the order in which a newcomer meets them; the rest follows by section and name.
ORDER = (
    "fit",
    "calibrate",
    "inspect",
    "evaluate",
    "learn",
    "export",
    "compress",
    "demo",
    "models",
    "data",
)
EPILOG = (
    "Every command takes --json (one object on stdout, logs on stderr) and --help. Exit codes: "
    "0 done, 1 done but something failed the check or could not be read, 2 wrong use, "
    "3 could not be done."
)


@dataclass(frozen=True)
class Verb:
    """One file of this folder, as its text says."""

    name: str
    summary: str
    section: str


class Verbs(click.Group):
    """Commands by file name: listed from the text of the files, imported when called."""

    def __init__(self) -> None:
        super().__init__(
            name="triscope",
            help="Inspect manufactured things: fit a check on good parts, then inspect with it.",
            epilog=EPILOG,
            context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
            params=[_version_option()],
            no_args_is_help=True,
        )

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every verb, the main ones first."""
        return [verb.name for verb in verbs()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb's file; None where there is none."""
        name = cmd_name.replace("-", "_")
        if name.startswith("_") or not (HERE / f"{name}.py").is_file():
            return None
        command: click.Command = importlib.import_module(f"triscope.cli.{name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that the first word names; a wrong one is answered with the closest."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise click.UsageError(unknown("command", args[0], self.list_commands(ctx)), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of verbs under their headings."""
        found = verbs()
        for section in dict.fromkeys(verb.section for verb in found):
            with formatter.section(section):
                formatter.write_dl([(v.name, v.summary) for v in found if v.section == section])


def unknown(what: str, given: str, known: list[str]) -> str:
    """``there is no command 'inspct'. Did you mean 'inspect'?``"""
    close = difflib.get_close_matches(given, known, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(known)}."
    return f"there is no {what} {given!r}. {hint}"


def verbs() -> list[Verb]:
    """Every verb of this folder."""
    found = [_read(path) for path in HERE.glob("*.py") if not path.name.startswith("_")]
    rank = {name: number for number, name in enumerate(ORDER)}
    return sorted(
        found, key=lambda v: (v.section != FIRST, v.section, rank.get(v.name, 99), v.name)
    )


def _read(path: Path) -> Verb:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    summary = (ast.get_docstring(tree) or "").partition("\n")[0].rstrip(".")
    section = "More"
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            if node.targets[0].id == "SECTION":
                section = ast.literal_eval(node.value)
    return Verb(path.stem, summary, section)


def _version_option() -> click.Option:
    def show(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        if value and not ctx.resilient_parsing:
            from triscope import __version__

            click.echo(f"triscope {__version__}")
            ctx.exit()

    return click.Option(
        ["--version"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=show,
        help="Show the version and leave.",
    )
