"""The group of verbs: what it lists, what it costs to start, how it answers a wrong word."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from cli_runs import run

from triscope import __version__
from triscope.cli._group import HERE, verbs

HEAVY = ("torch", "numpy", "cv2", "onnxruntime", "rich", "jinja2", "timm", "openvino", "pyarrow")


def loaded_by(*arguments: str) -> set[str]:
    """The heavy packages that a process has imported when this command ends."""
    code = (
        "import sys\nfrom triscope.cli import main\n"
        f"try:\n    main({list(arguments)!r})\n"
        "except SystemExit:\n    pass\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], len(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names, _, count = done.stderr.strip().splitlines()[-1].rpartition(" ")
    assert int(count) < 400
    return set(json.loads(names.replace("'", '"')))


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("models", "--help"), ("nix",)])
def test_help_loads_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert loaded_by(*arguments) == set()


def test_every_verb_has_a_summary_and_a_command() -> None:
    for verb in verbs():
        assert verb.summary and verb.summary[0].isupper(), verb.name
        assert len(verb.summary) < 90, f"{verb.name}: the first line is too long for the list"
        answer = run(verb.name, "--help")
        assert answer.code == 0, (verb.name, answer.err)
        assert "Usage: triscope " + verb.name in answer.out


def test_every_leaf_command_answers_json() -> None:
    """What the epilog promises: every command takes --json and --help."""
    import click

    from triscope.cli import program

    def leaves(command: click.Command, path: str) -> list[tuple[str, click.Command]]:
        if not isinstance(command, click.Group) or path.endswith(" fit"):
            return [(path, command)]
        context = click.Context(command)
        found = []
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None, name
            found += leaves(child, f"{path} {name}")
        return found

    without = [
        path
        for path, command in leaves(program(), "triscope")
        if not path.endswith(" fit") and "--json" not in [o for p in command.params for o in p.opts]
    ]
    assert without == []


def test_helpers_are_not_verbs() -> None:
    assert not any(verb.name.startswith("_") for verb in verbs())
    assert run("_output").code == 2
    assert (HERE / "_output.py").is_file()


def test_version() -> None:
    answer = run("--version")
    assert (answer.code, answer.out) == (0, f"triscope {__version__}\n")


def test_no_arguments_show_the_help() -> None:
    answer = run()
    assert answer.code == 0
    assert "Usage: triscope" in answer.out


def test_a_wrong_verb_is_answered_with_the_closest() -> None:
    answer = run("modls")
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err == (
        "triscope: there is no command 'modls'. Did you mean 'models'? See 'triscope --help'.\n"
    )


def test_a_wrong_option_is_answered_with_the_closest() -> None:
    answer = run("models", "--publishd")
    assert answer.code == 2
    assert "no such option '--publishd'" in answer.err
    assert "Did you mean '--published'?" in answer.err
    assert answer.err.endswith("See 'triscope models --help'.\n")
