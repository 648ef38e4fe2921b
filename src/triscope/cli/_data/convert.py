"""Write data in another layout: COCO, VOC, YOLO or MVTec."""

from __future__ import annotations

from pathlib import Path

import click

from triscope.cli._data._source import layout_option, opened, show_problems, source_argument
from triscope.cli._output import emit, json_option
from triscope.cli._progress import progress

KEYS = {
    "folder": "the folder that was written",
    "format": "coco, voc, yolo or mvtec",
    "samples": "number of images in the source",
    "problems": "sentences on what the format cannot hold or what was left out",
}


@click.command("convert")
@source_argument
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--to", required=True, type=click.Choice(["coco", "voc", "yolo", "mvtec"]), help="The format."
)
@layout_option
@json_option
def command(source: str, out: Path, to: str, layout: str | None, as_json: bool) -> None:
    """Copy SOURCE into the new folder OUT; masks become boxes and boxes masks where needed."""
    from triscope.kernel.data.writers import convert

    data = opened(source, layout)
    with progress() as report:
        lost = convert(data, to, out, report)
    problems = (*data.problems, *lost)
    if as_json:
        emit({"folder": out, "format": to, "samples": len(data), "problems": problems}, KEYS)
        return
    click.echo(f"written: {out} ({len(data)} images as {to})")
    show_problems(problems)
