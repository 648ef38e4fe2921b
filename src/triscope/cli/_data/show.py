"""Tell what was recognised: layout, splits, labels, sizes, problems."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from triscope.cli._data._source import (
    layout_option,
    opened,
    show_problems,
    source_argument,
    split_rows,
)
from triscope.cli._exits import DONE, FAILED
from triscope.cli._output import emit, json_option, show_table
from triscope.cli._progress import progress

if TYPE_CHECKING:
    from triscope.kernel.data.summary import Summary

KEYS = {
    "root": "where the data are",
    "layout": "the layout that was recognised",
    "samples": "number of images, without masks",
    "splits": "object: split -> label -> number of images",
    "classes": "labels of defects, in their order",
    "boxes": "object: class -> number of boxes",
    "masks": "number of images with a mask",
    "groups": "number of groups (parts, persons, sequences) that stay together",
    "references": "number of images with an aligned good picture",
    "sizes": "list of objects: h, w, images; most frequent first",
    "unreadable": "number of images whose size could not be read",
    "problems": "sentences on what was left out or changed",
}


@click.command("show")
@source_argument
@layout_option
@json_option
def command(source: str, layout: str | None, as_json: bool) -> int:
    """Tell what SOURCE holds. Leaves with 1 where an image could not be read."""
    from triscope.kernel.data.summary import summarise

    data = opened(source, layout)
    with progress() as report:
        summary = summarise(data, report=report)
    if as_json:
        emit(summary.to_dict(), KEYS)
    else:
        _show(summary)
    return FAILED if summary.unreadable else DONE


def _show(summary: Summary) -> None:
    click.echo(f"{summary.root or 'data'}: {summary.samples} images, layout {summary.layout!r}\n")
    columns, rows = split_rows(summary.splits)
    show_table("", columns, rows, right=range(1, len(columns)))
    click.echo()
    if summary.boxes:
        show_table("", ("class", "boxes"), summary.boxes.items(), right=(1,))
        click.echo()
    for line in _facts(summary):
        click.echo(line)
    show_problems(summary.problems)
    if summary.layout == "images":
        click.echo("No layout names good parts: a fit takes all of these images as good.")
        click.echo("If the folders name kinds, add --layout folders.")


def _facts(summary: Summary) -> list[str]:
    lines = [f"sizes       {_sizes(summary)}"]
    if summary.masks:
        lines.append(f"masks       {summary.masks}")
    if summary.groups:
        lines.append(f"groups      {summary.groups}")
    if summary.references:
        lines.append(f"references  {summary.references}")
    return lines


def _sizes(summary: Summary) -> str:
    """``200 x 200`` or ``100 x 100 to 630 x 400, mostly 200 x 300 (40)``; width first."""
    if not summary.sizes:
        return "none could be read"
    (h, w), count = summary.sizes[0]
    if len(summary.sizes) == 1:
        return f"{w} x {h} px"
    areas = sorted((size for size, _ in summary.sizes), key=lambda hw: hw[0] * hw[1])
    (least_h, least_w), (most_h, most_w) = areas[0], areas[-1]
    return (
        f"{len(summary.sizes)} sizes from {least_w} x {least_h} to {most_w} x {most_h} px, "
        f"most often {w} x {h} ({count} images)"
    )
