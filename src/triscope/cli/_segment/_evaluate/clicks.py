"""Overlap after 1, 2, 3, 5, 9 clicks, and clicks to reach an overlap."""

from __future__ import annotations

from typing import Any

import click

from triscope.cli._output import json_option, show_table
from triscope.cli._segment._evaluate._shared import ABOUT, Evaluation
from triscope.cli._segment._shared import data_options, network_options

KEYS = {
    **ABOUT,
    "masks": "how many masks were asked for",
    "mean_iou": "list of numbers: mean overlap after each click",
    "target": "the overlap to reach",
    "reached": "share of masks that reach it",
    "clicks": "mean clicks to reach it; masks that do not count as all clicks",
}


@click.command("clicks")
@data_options
@click.option("--clicks", default=9, show_default=True, help="Clicks a mask.")
@click.option("--target", default=0.85, show_default=True, help="The overlap to reach.")
@network_options
@json_option
def command(**values: Any) -> None:
    """Click into each mask of DATA until it fits: the first in its middle, then into errors."""
    from triscope.segment.evaluate.interactive import PUBLISHED, curve, evaluate_clicks

    task = Evaluation(values)
    rows = task.all_of(evaluate_clicks(task.predictor, task.cases, clicks=values["clicks"]))
    found = curve(rows, values["target"])
    answer = {
        "masks": found.masks, "mean_iou": list(found.iou), "target": found.target,
        "reached": found.reached, "clicks": found.clicks,
    }  # fmt: skip

    def show() -> None:
        shown = [k for k in PUBLISHED if k <= values["clicks"]]
        cells = [(k, f"{found.at(k):.3f}") for k in shown]
        show_table(f"{found.masks} masks", ("clicks", "mIoU"), cells, right=(0, 1))
        click.echo(
            f"IoU {found.target:g}: reached by {found.reached:.0%}, "
            f"{found.clicks:.1f} clicks on average"
        )

    task.answer(answer, KEYS, show)
