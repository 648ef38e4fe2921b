"""Boxes or heat maps of a check become masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triscope.cli._output import emit, json_option, note, show_table
from triscope.cli._segment._shared import PATH, images_of, network_of, network_options

KEYS = {
    "network": "the network that answered",
    "images": "list of objects: image, masks (count), area_px (of all together)",
    "skipped": "list of objects: image, reason",
    "written": "the folder that was written",
}


@click.command("refine")
@click.argument("check", type=PATH)
@click.argument("sources", nargs=-1, required=True)
@click.option("-o", "--output", type=PATH, help="Folder for the masks, one PNG an image.")
@click.option("--overlays", type=PATH, help="Folder for pictures with the masks.")
@click.option("--above", type=float, help="Heat above this is prompted; else the check's own.")
@network_options
@json_option
def command(**values: Any) -> None:
    """Inspect SOURCES with the folder CHECK and turn its findings into masks.

    Where the check answers a heat map, each hot region becomes a prompt; where it answers boxes,
    each box.
    """
    import triscope
    from triscope.errors import DataError

    network = network_of(values)
    check, predictor = triscope.open(values["check"]), network.predictor()
    rows: list[dict[str, Any]] = []
    skipped: list[dict[str, Any]] = []
    for sample in images_of(values["sources"]):
        try:
            rows.append(_one(check, predictor, sample, values))
        except DataError as error:
            note(f"skipped {sample.name}: {error}")
            skipped.append({"image": sample.name, "reason": str(error)})
    if values["as_json"]:
        answer = {
            "network": network.label, "images": rows, "skipped": skipped,
            "written": values["output"],
        }  # fmt: skip
        emit(answer, KEYS)
    else:
        cells = [(row["image"], row["masks"], row["area_px"]) for row in rows]
        show_table("", ("image", "masks", "area px"), cells, right=(1, 2))
    if skipped:
        click.get_current_context().exit(1)


def _one(check: Any, predictor: Any, sample: Any, values: dict[str, Any]) -> dict[str, Any]:
    from triscope.kernel.data import read_image
    from triscope.segment import pictures, refine

    image = read_image(sample.source)
    answer = check.inspect(image)
    predictor.set_image(image)
    if answer.heatmap is not None:
        above = threshold_of(check, values["above"])
        found = list(refine.from_heat(predictor, answer.heatmap.values, above))
    else:
        boxes = [one.box for one in answer.findings if one.box is not None]
        found = list(refine.from_boxes(predictor, boxes))
    whole = refine.joined(found, (image.shape[0], image.shape[1]))
    stem = Path(str(sample.name)).with_suffix("").as_posix().strip("/").replace("/", "_")
    if values["output"]:
        pictures.save(values["output"] / f"{stem}.png", whole.astype("uint8") * 255)
    if values["overlays"]:
        drawn = pictures.with_masks(image, [one.mask for one in found])
        drawn = pictures.with_prompts(drawn, boxes=[one.box for one in found])
        pictures.save(values["overlays"] / f"{stem}.png", drawn)
    return {"image": sample.name, "masks": len(found), "area_px": int(whole.sum())}


def threshold_of(check: Any, given: float | None) -> float:
    from triscope.errors import UsageError

    if given is not None:
        return given
    zones = check.card.zones
    if zones is None or zones.pixel_above is None:
        raise UsageError(
            f"{check.card.model} has no threshold for pixels: calibrate it, or give --above."
        )
    return float(zones.pixel_above)
