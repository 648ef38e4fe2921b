"""All masks of images that a grid of points finds."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from triscope.cli._output import emit, json_option, note, show_table
from triscope.cli._progress import progress
from triscope.cli._segment._shared import PATH, images_of, network_of, network_options
from triscope.cli._settings import flags_of, settings_from
from triscope.segment.everything import Settings, usual

KEYS = {
    "network": "the network that answered",
    "images": "list of objects: image, masks (count)",
    "skipped": "list of objects: image, reason",
    "written": "the folder that was written",
}


@click.command("everything")
@click.argument("sources", nargs=-1, required=True)
@click.option("-o", "--output", type=PATH, help="Folder for the masks.")
@click.option("--to", default="sa1b", show_default=True, help="sa1b, coco, png or yolo.")
@click.option("--overlays", type=PATH, help="Folder for pictures with all masks.")
@click.option("--config", type=PATH, help="Settings from a TOML file.")
@network_options
@json_option
def command(**values: Any) -> None:
    """Find all masks of the images of SOURCES (files, folders, globs)."""
    from triscope.segment.plain_points import grid_decoder

    network = network_of(values)
    predictor = network.predictor()
    defaults = asdict(usual(predictor.small))
    settings = settings_from(Settings, values, {}, values["config"], defaults)
    decoder = grid_decoder(predictor)
    rows: list[dict[str, Any]] = []
    skipped: list[dict[str, Any]] = []
    with progress() as report, _output(values) as out:
        for sample in images_of(values["sources"]):
            _one(sample, decoder, settings, out, values["overlays"], report, rows, skipped)
    if values["as_json"]:
        answer = {
            "network": network.label, "images": rows, "skipped": skipped,
            "written": values["output"],
        }  # fmt: skip
        emit(answer, KEYS)
    else:
        cells = [(row["image"], row["masks"]) for row in rows]
        show_table("", ("image", "masks"), cells, right=(1,))
        if values["output"]:
            click.echo(f"written: {values['output']}")
    if skipped:
        click.get_current_context().exit(1)


def _one(
    sample: Any,
    decoder: Any,
    settings: Any,
    out: Any,
    overlays: Path | None,
    report: Any,
    rows: list[dict[str, Any]],
    skipped: list[dict[str, Any]],
) -> None:
    from triscope.errors import DataError
    from triscope.kernel.data import read_image
    from triscope.segment import pictures
    from triscope.segment.everything import everything
    from triscope.segment.formats import Mask, Record

    name = Path(str(sample.source)).name
    try:
        image = read_image(sample.source)
    except DataError as error:
        note(f"skipped {sample.name}: {error}")
        skipped.append({"image": sample.name, "reason": str(error)})
        return
    found = everything(
        decoder, image, settings, lambda done, total: report(sample.name, done, total)
    )
    rows.append({"image": sample.name, "masks": len(found)})
    if not found:
        note(
            f"{sample.name}: no mask passed --pred-iou-thresh {settings.pred_iou_thresh:g} and "
            f"--stability-score-thresh {settings.stability_score_thresh:g}: lower them."
        )
    if out is not None:
        masks = (Mask(one.rle, extra=_scores(one.to_dict())) for one in found)
        out.add(Record(name, (image.shape[0], image.shape[1]), tuple(masks)))
    if overlays:
        drawn = pictures.with_masks(image, [one.mask() for one in reversed(found)])
        pictures.save(overlays / f"{Path(name).stem}.png", drawn)


def _scores(row: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in row.items() if k not in ("segmentation", "area")}


def _output(values: dict[str, Any]) -> Any:
    import contextlib

    from triscope.segment.formats import writer

    return writer(values["to"], values["output"]) if values["output"] else contextlib.nullcontext()


command.params += flags_of(Settings, {option for p in command.params for option in p.opts})
