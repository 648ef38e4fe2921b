"""Overlap from words, the best of their three masks, and from words with a click."""

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
from triscope.cli._segment._text._shared import word_options, word_predictor

KEYS = {
    "network": "the network that answered",
    "data": "the source",
    "masks": "how many masks were asked for",
    "mean_iou": "object: mean overlap of each way",
    "by_label": "object: label, object of ways",
    "rows": "list of objects, one a mask: name, index, area_px, iou, group (the words)",
    "skipped": "how many images could not be read",
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
    from triscope.errors import EmptyData, UsageError
    from triscope.segment.evaluate.prompted import means
    from triscope.segment.evaluate.worded import evaluate_words

    if "{}" not in values["template"]:
        raise UsageError(f"--template needs {{}} where the label goes, got {values['template']!r}.")
    network = network_of(values)
    predictor = word_predictor(network, values)
    cases, skipped = cases_from(values["data"], values["layout"], values["limit"], values["parts"])
    rows = list(
        evaluate_words(predictor, cases, template=values["template"], words=values["words"])
    )
    if not rows:
        raise EmptyData(f"{values['data']}: no image with a mask could be read.")
    labels = dict.fromkeys(row.group or "" for row in rows)
    by_label = {label: means(row for row in rows if row.group == label) for label in labels}
    found = means(rows)
    if values["as_json"]:
        answer = {
            "network": network.label, "data": values["data"], "masks": len(rows),
            "mean_iou": found, "by_label": by_label, "rows": rows, "skipped": len(skipped),
        }  # fmt: skip
        emit(answer, KEYS)
    else:
        table = {"all": found, **by_label}
        cells = [
            (name, *(f"{value:.3f}" for value in ways.values())) for name, ways in table.items()
        ]
        show_table(f"{len(rows)} masks", ("label", *found), cells, right=tuple(range(1, 5)))
    if told_skipped(skipped):
        click.get_current_context().exit(1)
