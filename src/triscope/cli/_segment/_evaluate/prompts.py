"""Overlap from a box, from one click, and the best of its three masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triscope.cli._output import json_option, show_table
from triscope.cli._segment._evaluate._shared import ABOUT, Evaluation
from triscope.cli._segment._shared import PATH, data_options, network_options

KEYS = {
    **ABOUT,
    "masks": "how many masks were asked for",
    "mean_iou": "object: mean overlap of each way",
    "rows": "list of objects, one a mask: name, index, area_px, iou, group",
    "groups": "object: group, list of way, count, mean, low, high (95 % bootstrap)",
}


@click.command("prompts")
@data_options
@click.option("--baselines", is_flag=True, help="GrabCut and flood fill from the same prompts.")
@click.option("--groups", type=PATH, help="A CSV (name,group), or 'own' for the data's groups.")
@click.option("--seed", default=0, show_default=True, help="Of the moves of the boxes.")
@click.option("--gallery", type=PATH, help="A picture with the worst answers.")
@network_options
@json_option
def command(**values: Any) -> None:
    """Prompt each mask of DATA ('scenes': generated ones) and compare the answers with it.

    The box is the tight one, each side moved by up to 5 %; the click is the maximum of the
    distance transform.
    """
    from triscope.segment.evaluate.prompted import evaluate_prompts, means

    task, worst = Evaluation(values), _Worst()
    rows = task.all_of(
        evaluate_prompts(
            task.predictor, task.cases, baselines=values["baselines"], seed=values["seed"],
            seen=worst if values["gallery"] else None,
        )
    )  # fmt: skip
    if values["gallery"]:
        worst.save(values["gallery"])
    found = means(rows)
    groups = _by_group(rows, values["groups"]) if values["groups"] else {}

    def show() -> None:
        cells = [(way, f"{value:.3f}") for way, value in found.items()]
        show_table(f"{len(rows)} masks of {values['data']}", ("way", "mIoU"), cells, right=(1,))
        _show_groups(groups)

    answer = {"masks": len(rows), "mean_iou": found, "rows": rows, "groups": groups}
    task.answer(answer, KEYS, show)


def _by_group(rows: list[Any], source: Path) -> dict[str, list[dict[str, Any]]]:
    from triscope.segment.evaluate import groups

    table = (
        {row.name: row.group or "none" for row in rows}
        if str(source) == "own"
        else groups.read_groups(source)
    )
    out: dict[str, list[dict[str, Any]]] = {}
    for way in rows[0].iou:
        values = groups.grouped([(row.name, row.iou[way]) for row in rows], table)
        for one in groups.by_group(values):
            out.setdefault(one.name, []).append({"way": way, **one.to_dict()})
    return out


def _show_groups(groups: dict[str, list[dict[str, Any]]]) -> None:
    if groups:
        cells = [
            (name, row["way"], row["count"], f"{row['mean']:.3f}", _span(row))
            for name, rows in groups.items()
            for row in rows
        ]
        show_table("", ("group", "way", "masks", "mIoU", "95 %"), cells, right=(2, 3))


def _span(row: dict[str, Any]) -> str:
    return f"{row['low']:.3f} to {row['high']:.3f}"


class _Worst:
    """Keeps pictures of the answers with the least overlap of their box."""

    MOST = 24

    def __init__(self) -> None:
        self.rows: list[tuple[float, Any]] = []

    def __call__(self, case: Any, found: dict[str, Any], index: int) -> None:
        from triscope.kernel.metrics.overlap import iou
        from triscope.segment.pictures import with_masks

        truth = case.masks[index]
        overlap = iou(found["box"], truth)
        if len(self.rows) < self.MOST or overlap < self.rows[-1][0]:
            shown = [with_masks(case.image, [found[way], truth]) for way in ("box", "point")]
            self.rows = sorted([*self.rows, (overlap, shown)], key=lambda row: row[0])[: self.MOST]

    def save(self, path: Path) -> None:
        from triscope.segment import pictures

        shown = [picture for _, pair in self.rows for picture in pair]
        rows = [shown[i : i + 6] for i in range(0, len(shown), 6)]
        pictures.save(path, pictures.sheet(rows, 160))
