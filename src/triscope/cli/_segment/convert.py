"""Masks from one format to another: sa1b, coco, voc, yolo, png, map."""

from __future__ import annotations

from pathlib import Path

import click

from triscope.cli._output import emit, json_option
from triscope.cli._progress import progress
from triscope.cli._segment._shared import PATH

KEYS = {"folder": "the folder that was written", "format": "its format", "images": "how many"}


@click.command("convert")
@click.argument("source", type=PATH)
@click.argument("out", type=PATH)
@click.option("--from", "source_format", required=True, help="The format of SOURCE.")
@click.option("--to", "target_format", required=True, help="The format to write.")
@json_option
def command(source: Path, out: Path, source_format: str, target_format: str, as_json: bool) -> None:
    """Write the masks of SOURCE into the folder OUT, one image at a time, without loss."""
    from triscope.segment.formats import convert

    with progress() as report:
        count = convert(
            source, source_format, out, target_format, lambda done: report("images", done)
        )
    if as_json:
        emit({"folder": out, "format": target_format, "images": count}, KEYS)
    else:
        click.echo(f"written: {out} ({count} images as {target_format})")
