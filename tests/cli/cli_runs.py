"""Runs the command line inside the test's process: exit code, stdout and stderr."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from dataclasses import dataclass
from typing import Any

from triscope.cli import program
from triscope.cli._exits import run as run_program


@dataclass(frozen=True)
class Ran:
    """What one command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on stdout; anything else there is an error."""
        answer = json.loads(self.out)
        assert isinstance(answer, dict)
        return answer


def run(*arguments: object, stdin: str = "") -> Ran:
    """``triscope ARGUMENTS``."""
    out, err, before = io.StringIO(), io.StringIO(), sys.stdin
    sys.stdin = io.StringIO(stdin)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run_program(program(), [str(argument) for argument in arguments])
    finally:
        sys.stdin = before
    return Ran(code, out.getvalue(), err.getvalue())
