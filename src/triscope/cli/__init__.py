"""The command line: one file a verb; a verb's file is read when the verb is used.

A file ``cli/NAME.py`` whose attribute ``command`` is a click command is the verb ``NAME``; the
first line of its docstring is the line in ``triscope --help``. Files that begin with an underscore
are helpers. A file may say ``SECTION = "..."`` to be listed under that heading.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from triscope.cli._group import Verbs


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit code."""
    from triscope.cli._exits import run

    sys.exit(run(program(), list(sys.argv[1:] if arguments is None else arguments)))


def program() -> Verbs:
    """The whole command line as one click group."""
    return Verbs()
