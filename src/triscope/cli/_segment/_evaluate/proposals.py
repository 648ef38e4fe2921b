"""Everything mode as object proposals: AR@1000 by size."""

from __future__ import annotations

from dataclasses import replace
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
    "recall": "object: AR, AR small, AR medium, AR large, k, images, masks, proposals an image",
    "skipped": "how many images could not be read",
}


@click.command("proposals")
@data_options
@click.option("--points", default=64, show_default=True, help="Points a side of the grid.")
@click.option("--most", default=1000, show_default=True, help="Proposals an image that count.")
@network_options
@json_option
def command(**values: Any) -> None:
    """How many masks of DATA the proposals of a grid cover (no filter, NMS 0.9, as published)."""
    from triscope.segment.evaluate.proposals import PUBLISHED, evaluate_proposals
    from triscope.segment.plain_points import grid_decoder

    network = network_of(values)
    cases, skipped = cases_from(values["data"], values["layout"], values["limit"], values["parts"])
    settings = replace(PUBLISHED, points_per_side=values["points"])
    decoder = grid_decoder(network.predictor())
    found = evaluate_proposals(decoder, cases, settings, values["most"])
    if values["as_json"]:
        answer = {
            "network": network.label, "data": values["data"], "recall": found,
            "skipped": len(skipped),
        }  # fmt: skip
        emit(answer, KEYS)
    else:
        show_table("", ("what", "value"), [(k, f"{v:.4g}") for k, v in found.items()], right=(1,))
    if told_skipped(skipped):
        click.get_current_context().exit(1)
