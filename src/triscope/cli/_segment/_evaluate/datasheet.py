"""Counts, sizes, positions and concavity of a data set of masks, as a page with plots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triscope.cli._output import emit, json_option
from triscope.cli._progress import progress
from triscope.cli._segment._shared import PATH

KEYS = {
    "data": "the source",
    "sheet": "object: counts, labels, histograms of masks an image, size and concavity, centres",
    "written": "the page",
}


@click.command("datasheet")
@click.argument("data", type=PATH)
@click.option("--from", "name", default="sa1b", show_default=True, help="The format of DATA.")
@click.option("-o", "--output", type=PATH, help="The HTML page to write.")
@click.option("--title", default="Datasheet", help="Its title.")
@json_option
def command(data: Path, name: str, output: Path | None, title: str, as_json: bool) -> None:
    """Describe the masks of DATA, one image at a time."""
    from triscope.segment.evaluate.datasheet import datasheet, page
    from triscope.segment.formats import read

    with progress() as report:
        sheet = datasheet(_counted(read(name, data), report))
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(page(sheet, title), encoding="utf-8")
    if as_json:
        emit({"data": data, "sheet": sheet.to_dict(), "written": output}, KEYS)
        return
    each = sheet.masks / sheet.images
    click.echo(f"{sheet.masks:,} masks of {sheet.images:,} images, {each:.1f} an image")
    if output:
        click.echo(f"written: {output}")


def _counted(records: Any, report: Any) -> Any:
    for done, record in enumerate(records, 1):
        yield record
        report("images", done)
