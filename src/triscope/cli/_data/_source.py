"""The argument and options that the commands of ``data`` share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from triscope.kernel.data import Dataset

source_argument = click.argument("source")
layout_option = click.option("--layout", help="Name the layout where two would fit.")


def opened(source: str, layout: str | None) -> Dataset:
    """The data set behind what was given on the command line."""
    from triscope.kernel.data import open_data

    return open_data(source, layout)


def show_problems(problems: Iterable[str]) -> None:
    """A line a problem, in yellow, on stdout."""
    for problem in problems:
        click.echo(click.style("! ", fg="yellow", bold=True) + problem)


def split_rows(splits: dict[str, dict[str, int]]) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows of a table of labels against splits."""
    order = ("train", "calibrate", "test", "no split")
    names = [name for name in order if name in splits]
    labels = sorted({label for counts in splits.values() for label in counts}, key=_good_first)
    rows = [[label, *(splits[name].get(label, "") for name in names)] for label in labels]
    if len(labels) > 1:
        rows.append(["all", *(sum(splits[name].values()) for name in names)])
    return ["label", *names], rows


def _good_first(label: str) -> tuple[bool, str]:
    return label != "good", label
