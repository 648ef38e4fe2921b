"""Everything mode as object proposals: AR@1000 by size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from triscope.cli._output import json_option, show_table
from triscope.cli._segment._evaluate._shared import ABOUT, Evaluation
from triscope.cli._segment._shared import data_options, network_options

KEYS = {
    **ABOUT,
    "recall": "object: AR, AR small, AR medium, AR large, k, images, masks, proposals an image",
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

    task = Evaluation(values)
    settings = replace(PUBLISHED, points_per_side=values["points"])
    found = evaluate_proposals(grid_decoder(task.predictor), task.cases, settings, values["most"])

    def show() -> None:
        show_table("", ("what", "value"), [(k, f"{v:.4g}") for k, v in found.items()], right=(1,))

    task.answer({"recall": found}, KEYS, show)
