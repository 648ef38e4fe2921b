"""Boxes or heat maps as masks, before and after prompting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from triscope.cli._output import emit, json_option, show_table
from triscope.cli._segment._shared import (
    PATH,
    cases_from,
    data_options,
    network_of,
    network_options,
    told_skipped,
)

KEYS = {
    "network": "the network that answered",
    "data": "the source",
    "prompts": "where the prompts came from: the check, or the true boxes",
    "masks": "how many masks (true boxes) or images (a check) were compared",
    "mean_iou": "object: mean overlap of each way",
    "by_label": "object: group or label, object of ways",
    "rows": "list of objects: name, index, area_px, iou, group",
    "skipped": "how many images could not be read",
}


@click.command("refine")
@data_options
@click.option("--check", type=PATH, help="A check whose heat maps or boxes are the prompts.")
@click.option("--above", type=float, help="Heat above this is prompted; else the check's own.")
@click.option("--seed", default=0, show_default=True, help="Of the moves of the true boxes.")
@network_options
@json_option
def command(**values: Any) -> None:
    """Compare with the masks of DATA what a check found, and what prompting makes of it.

    Without a check the prompts are the true boxes, each side moved by up to 5 %.
    """
    from triscope.errors import EmptyData
    from triscope.segment.evaluate import refined
    from triscope.segment.evaluate.prompted import means

    network = network_of(values)
    predictor = network.predictor()
    cases, skipped = cases_from(values["data"], values["layout"], values["limit"], values["parts"])
    if values["check"]:
        inspect, above = _inspector(values["check"], values["above"])
        rows = list(refined.refined_findings(predictor, cases, inspect, above))
    else:
        rows = list(refined.refined_truth(predictor, cases, values["seed"]))
    if not rows:
        raise EmptyData(f"{values['data']}: no image with a mask could be read.")
    found = means(rows)
    labels = dict.fromkeys(row.group or "none" for row in rows)
    by_label = {
        label: means(row for row in rows if (row.group or "none") == label) for label in labels
    }
    if values["as_json"]:
        answer = {
            "network": network.label, "data": values["data"],
            "prompts": values["check"] or "the true boxes", "masks": len(rows),
            "mean_iou": found, "by_label": by_label, "rows": rows, "skipped": len(skipped),
        }  # fmt: skip
        emit(answer, KEYS)
    else:
        table = {"all": found, **(by_label if len(by_label) > 1 else {})}
        cells = [(name, *(f"{iou:.3f}" for iou in ways.values())) for name, ways in table.items()]
        columns = tuple(range(1, 1 + len(found)))
        show_table(f"{len(rows)} compared, mean IoU", ("", *found), cells, right=columns)
    if told_skipped(skipped):
        click.get_current_context().exit(1)


def _inspector(folder: Path, given: float | None) -> tuple[Callable[[Any], Any], float | None]:
    """What finds prompts in an image, and the threshold of its heat."""
    import triscope
    from triscope.cli._segment.refine import threshold_of

    check = triscope.open(folder)
    above = threshold_of(check, given) if check.card.answers == "Heatmap" else None

    def inspect(image: Any) -> Any:
        answer = check.inspect(image)
        boxes = [one.box for one in answer.findings if one.box is not None]
        return (None if answer.heatmap is None else answer.heatmap.values), boxes

    return inspect, above
