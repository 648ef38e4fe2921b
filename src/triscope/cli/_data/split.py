"""Draw train, calibrate and test, disjoint by group and content, into one file."""

from __future__ import annotations

from pathlib import Path

import click

from triscope.cli._data._source import (
    layout_option,
    opened,
    show_problems,
    source_argument,
    split_rows,
)
from triscope.cli._output import emit, json_option, show_table

KEYS = {
    "file": "the file that was written, itself a data source; null without --output",
    "splits": "object: split -> label -> number of images",
    "groups": "number of groups that were kept together",
    "problems": "sentences on what was left out or changed",
}


@click.command("split")
@source_argument
@click.option("--calibrate", default=0.2, show_default=True, help="Share to calibrate with.")
@click.option("--test", default=0.2, show_default=True, help="Share to test with.")
@click.option("--seed", default=0, show_default=True, help="Of the draw.")
@click.option("--by", help="Pattern in the names whose match (or first bracket) is the group.")
@click.option(
    "--train-on",
    type=click.Choice(["all", "good"]),
    default="all",
    show_default=True,
    help="Whether defects may be in the training split.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A .jsonl or .csv file.")
@layout_option
@json_option
def command(
    source: str,
    calibrate: float,
    test: float,
    seed: int,
    by: str | None,
    train_on: str,
    output: Path | None,
    layout: str | None,
    as_json: bool,
) -> None:
    """Draw splits of SOURCE; those that its layout names are kept.

    The file that is written names every image with its split and labels, and is itself a SOURCE.
    """
    from triscope.errors import UsageError
    from triscope.kernel.data.manifest import ENDINGS, write_manifest
    from triscope.kernel.data.splits import split_data
    from triscope.kernel.data.summary import summarise

    if output is not None and output.suffix not in ENDINGS:
        raise UsageError(f"{output}: expected the ending {' or '.join(ENDINGS)}.")
    data = split_data(
        opened(source, layout), calibrate=calibrate, test=test, seed=seed, by=by, train_on=train_on
    )
    summary = summarise(data)
    if output is not None:
        write_manifest(data, output)
    if as_json:
        answer = {
            "file": output,
            "splits": summary.splits,
            "groups": summary.groups,
            "problems": summary.problems,
        }
        emit(answer, KEYS)
        return
    columns, rows = split_rows(summary.splits)
    show_table("", columns, rows, right=range(1, len(columns)))
    if summary.groups:
        click.echo(f"{summary.groups} groups, each in one split")
    show_problems(summary.problems)
    click.echo(f"written: {output}" if output else "nothing was written: give --output FILE.jsonl")
