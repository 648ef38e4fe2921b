"""Errors become messages and exit codes in one place."""

from __future__ import annotations

import click
import pytest
from cli_runs import run

from triscope import errors
from triscope.cli._exits import explain
from triscope.cli._exits import run as run_program


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UnknownModel("no model named 'x'."), 2),
        (errors.BadSettings("keep=2: expected a share in (0, 1]."), 2),
        (errors.EmptyData("no images."), 3),
        (errors.PromiseTooLow("60 good parts."), 3),
        (errors.CheckDamaged("changed."), 3),
        (errors.MissingExtra("needs torch."), 3),
        (OSError(28, "No space left on device", "out.json"), 3),
        (MemoryError(), 3),
        (KeyboardInterrupt(), 130),
        (ZeroDivisionError("division by zero"), 3),
    ],
)
def test_exit_code_of_each_kind(error: BaseException, code: int) -> None:
    assert explain(error)[2] == code


def test_the_message_is_the_errors_own() -> None:
    assert explain(errors.EmptyData("no images in x."))[1] == "no images in x."
    assert explain(OSError(28, "No space left on device", "a/b"))[1] == (
        "a/b: No space left on device."
    )


def test_an_unexpected_error_keeps_its_trace() -> None:
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError as error:
        kind, message, _ = explain(error)
    assert kind == "ZeroDivisionError"
    assert "test_exits.py" in message
    assert message.endswith("This is an error in triscope itself; the lines above tell where.")


def test_ctrl_c_is_told_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def stopped() -> None:
        raise KeyboardInterrupt

    assert run_program(stopped, []) == 130
    caught = capsys.readouterr()
    assert caught.out == ""
    assert caught.err.strip().endswith("stopped by Ctrl-C. What was saved before is whole.")


def test_errors_are_one_object_with_json() -> None:
    answer = run("weights", "sam_vit_x", "--json")
    assert answer.code == 3
    assert answer.json["error"] == "WeightsMissing"
    assert answer.json["exit_code"] == 3
    assert answer.json["message"] in answer.err
