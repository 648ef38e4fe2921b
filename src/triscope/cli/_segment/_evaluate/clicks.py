"""Overlap after 1, 2, 3, 5, 9 clicks, and clicks to reach an overlap."""

from __future__ import annotations

from typing import Any

import click

from triscope.cli._output import emit, json_option, show_table
from triscope.cli._segment._shared import (
    cases_from,
    data_options,
    network_of,
    network_options,
    told_skipped,
)

KEYS = {
    "network": "the network that answered",
    "data": "the source",
    "masks": "how many masks were asked for",
    "mean_iou": "list of numbers: mean overlap after each click",
    "target": "the overlap to reach",
    "reached": "share of masks that reach it",
    "clicks": "mean clicks to reach it; masks that do not count as all clicks",
    "skipped": "how many images could not be read",
}


@click.command("clicks")
@data_options
@click.option("--clicks", default=9, show_default=True, help="Clicks a mask.")
@click.option("--target", default=0.85, show_default=True, help="The overlap to reach.")
@network_options
@json_option
def command(**values: Any) -> None:
    """Click into each mask of DATA until it fits: the first in its middle, then into errors."""
    from triscope.errors import EmptyData
    from triscope.segment.evaluate.interactive import PUBLISHED, curve, evaluate_clicks

    network = network_of(values)
    cases, skipped = cases_from(values["data"], values["layout"], values["limit"], values["parts"])
    rows = list(evaluate_clicks(network.predictor(), cases, clicks=values["clicks"]))
    if not rows:
        raise EmptyData(f"{values['data']}: no image with a mask could be read.")
    found = curve(rows, values["target"])
    if values["as_json"]:
        answer = {
            "network": network.label, "data": values["data"], "masks": found.masks,
            "mean_iou": list(found.iou), "target": found.target, "reached": found.reached,
            "clicks": found.clicks, "skipped": len(skipped),
        }  # fmt: skip
        emit(answer, KEYS)
    else:
        shown = [k for k in PUBLISHED if k <= values["clicks"]]
        cells = [(k, f"{found.at(k):.3f}") for k in shown]
        show_table(f"{found.masks} masks", ("clicks", "mIoU"), cells, right=(0, 1))
        click.echo(
            f"IoU {found.target:g}: reached by {found.reached:.0%}, "
            f"{found.clicks:.1f} clicks on average"
        )
    if told_skipped(skipped):
        click.get_current_context().exit(1)
