"""Mask AP from a detector's boxes, or from the true ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from triscope.cli._output import json_option, show_table
from triscope.cli._segment._evaluate._shared import ABOUT, Evaluation
from triscope.cli._segment._shared import PATH, data_options, network_options

KEYS = {
    **ABOUT,
    "precision": "object: AP, AP50, AP75, boxes, masks",
}


@click.command("instances")
@data_options
@click.option("--boxes", type=PATH, help="COCO results of a detector; else the true boxes.")
@click.option("--images", type=PATH, help="The COCO file whose ids the results use.")
@network_options
@json_option
def command(**values: Any) -> None:
    """Turn boxes into masks and measure them against the masks of DATA."""
    from triscope.errors import UsageError
    from triscope.segment.evaluate.instances import evaluate_instances, read_detections

    task, boxes = Evaluation(values), None
    if values["boxes"]:
        if not values["images"]:
            raise UsageError("--boxes names images by ids: give --images, the COCO file with them.")
        boxes = read_detections(values["boxes"], _names(values["images"]))
    found = evaluate_instances(task.predictor, task.cases, boxes)

    def show() -> None:
        show_table("", ("what", "value"), [(k, f"{v:.4g}") for k, v in found.items()], right=(1,))

    task.answer({"precision": found}, KEYS, show)


def _names(path: Path) -> dict[int, str]:
    from triscope.errors import BadLabels

    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["images"]
        return {row["id"]: str(row["file_name"]) for row in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadLabels(f"{path} is not a COCO file with images: {error}.") from error
