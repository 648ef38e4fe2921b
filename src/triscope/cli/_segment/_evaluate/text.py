"""Overlap from words, the best of their three masks, and from words with a click."""

from __future__ import annotations

from typing import Any

import click

from triscope.cli._output import json_option
from triscope.cli._segment._evaluate._shared import ABOUT, Evaluation, show_ways
from triscope.cli._segment._shared import data_options, network_options
from triscope.cli._segment._text._shared import word_options, word_predictor

KEYS = {
    **ABOUT,
    "masks": "how many masks were asked for",
    "mean_iou": "object: mean overlap of each way",
    "by_label": "object: label, object of ways",
    "rows": "list of objects, one a mask: name, index, area_px, iou, group (the words)",
}


@click.command("text")
@data_options
@click.option("--words", default="", help="Asked for every mask, in place of its label.")
@click.option("--template", default="a photo of a {}", show_default=True, help="Around a label.")
@word_options
@network_options
@json_option
def command(**values: Any) -> None:
    """Ask for the label of each mask of DATA in words and compare the answers with it."""
    from triscope.errors import UsageError
    from triscope.segment.evaluate.prompted import by_group, means
    from triscope.segment.evaluate.worded import evaluate_words

    if "{}" not in values["template"]:
        raise UsageError(f"--template needs {{}} where the label goes, got {values['template']!r}.")
    task = Evaluation(values)
    asker = word_predictor(task.network, values)
    rows = task.all_of(
        evaluate_words(asker, task.cases, template=values["template"], words=values["words"])
    )
    found, by_label = means(rows), by_group(rows)
    answer = {"masks": len(rows), "mean_iou": found, "by_label": by_label, "rows": rows}
    task.answer(answer, KEYS, lambda: show_ways(f"{len(rows)} masks", {"all": found, **by_label}))
