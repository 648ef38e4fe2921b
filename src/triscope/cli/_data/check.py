"""Decode every image and mask: damage, sizes, copies, splits that overlap."""

from __future__ import annotations

import click

from triscope.cli._data._source import layout_option, opened, show_problems, source_argument
from triscope.cli._exits import DONE, FAILED
from triscope.cli._output import emit, json_option
from triscope.cli._progress import progress

KEYS = {
    "samples": "number of images",
    "unreadable": "list of objects: source, error",
    "kinds": "object: depth and colour -> number of images",
    "problems": "sentences, each with its count and examples",
}


@click.command("check")
@source_argument
@layout_option
@click.option("--workers", default=2, show_default=True, help="Threads that read.")
@json_option
def command(source: str, layout: str | None, workers: int, as_json: bool) -> int:
    """Look at every image of SOURCE. Leaves with 1 where something should be mended."""
    from triscope.kernel.data.summary import check_data

    data = opened(source, layout)
    with progress() as report:
        checked = check_data(data, workers, report)
    if as_json:
        answer = {
            "samples": checked.samples,
            "unreadable": checked.unreadable,
            "kinds": checked.kinds,
            "problems": checked.problems,
        }
        emit(answer, KEYS)
    else:
        kinds = "; ".join(f"{count} {kind}" for kind, count in checked.kinds.items())
        click.echo(f"{checked.samples} images looked at: {kinds or 'none could be read'}")
        show_problems(checked.problems)
        if not checked.problems:
            click.echo("nothing to mend")
    return FAILED if checked.problems else DONE
