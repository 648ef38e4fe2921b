"""Boxes or heat maps as masks, before and after prompting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from triscope.cli._output import json_option
from triscope.cli._segment._evaluate._shared import ABOUT, Evaluation, show_ways
from triscope.cli._segment._shared import PATH, data_options, network_options

KEYS = {
    **ABOUT,
    "prompts": "where the prompts came from: the check, or the true boxes",
    "masks": "how many masks (true boxes) or images (a check) were compared",
    "mean_iou": "object: mean overlap of each way",
    "by_label": "object: group or label, object of ways",
    "rows": "list of objects: name, index, area_px, iou, group",
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
    from triscope.segment.evaluate import refined
    from triscope.segment.evaluate.prompted import by_group, means

    task = Evaluation(values)
    if values["check"]:
        inspect, above = _inspector(values["check"], values["above"])
        walk = refined.refined_findings(task.predictor, task.cases, inspect, above)
    else:
        walk = refined.refined_truth(task.predictor, task.cases, values["seed"])
    rows = task.all_of(walk)
    found, by_label = means(rows), by_group(rows)

    def show() -> None:
        table = {"all": found, **(by_label if len(by_label) > 1 else {})}
        show_ways(f"{len(rows)} compared, mean IoU", table)

    answer = {
        "prompts": values["check"] or "the true boxes", "masks": len(rows),
        "mean_iou": found, "by_label": by_label, "rows": rows,
    }  # fmt: skip
    task.answer(answer, KEYS, show)


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
