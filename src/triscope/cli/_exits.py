"""The one place where errors become messages and exit codes."""

from __future__ import annotations

import difflib
import json
import os
import sys
import traceback
from typing import Any

import click

from triscope.errors import TriscopeError

DONE = 0  # done
FAILED = 1  # done, but something failed the check or some inputs could not be read
WRONG_USE = 2  # a command, an option or a value that cannot be meant
NOT_DONE = 3  # could not be done
STOPPED = 130  # Ctrl-C, as shells expect it


def run(program: click.Command, arguments: list[str]) -> int:
    """Run the command line with these arguments and answer the exit code."""
    try:
        code = program.main(arguments, prog_name="triscope", standalone_mode=False)
    except click.exceptions.Exit as leave:
        code = leave.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
        code = WRONG_USE if error.ctx and error.ctx.parent else DONE
    except BrokenPipeError:
        # The reader (`| head`) has left: close quietly, and keep Python from flushing again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = DONE
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        kind, message, code = explain(error)
        _report(kind, message, code, as_json="--json" in arguments)
    return code if isinstance(code, int) else DONE


def explain(error: BaseException) -> tuple[str, str, int]:
    """Kind, message and exit code of what went wrong."""
    kind = type(error).__name__
    if isinstance(error, TriscopeError):
        return kind, str(error), error.exit_code
    if isinstance(error, click.ClickException):
        return kind, _usage(error), WRONG_USE
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return "Stopped", "stopped by Ctrl-C. What was saved before is whole.", STOPPED
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return kind, f"{place}{error.strerror or error}.", NOT_DONE
    if isinstance(error, MemoryError):
        return kind, "the memory of this machine is used up. Try a smaller size.", NOT_DONE
    trace = "".join(traceback.format_exception(error))
    return (
        kind,
        f"{trace}This is an error in triscope itself; the lines above tell where.",
        NOT_DONE,
    )


def _usage(error: click.ClickException) -> str:
    """What click says, in the tone of the house, and where the help is."""
    message = error.format_message().strip()
    if isinstance(error, click.NoSuchOption):
        close = difflib.get_close_matches(error.option_name, error.possibilities or [], n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        message = f"no such option {error.option_name!r}.{hint}"
    if message[:1].isupper() and not message[:2].isupper():
        message = message[0].lower() + message[1:]
    if not message.endswith((".", "?")):
        message += "."
    context = getattr(error, "ctx", None)
    return f"{message} See '{context.command_path} --help'." if context else message


def _report(kind: str, message: str, code: int, *, as_json: bool) -> None:
    if as_json:
        answer: dict[str, Any] = {"error": kind, "message": message, "exit_code": code}
        click.echo(json.dumps(answer))
    head = click.style("triscope:", fg="red", bold=True)
    click.echo(f"{head} {message}", err=True)
