"""Depth of each view from its neighbours; goes on where it stopped."""

from __future__ import annotations

from typing import Any

import click

from triscope.cli._exits import DONE
from triscope.cli._options import json_flag
from triscope.cli._output import emit, note, people
from triscope.cli._progress import progress
from triscope.cli._shape._shared import FOLDER, built, depth_line, model_options, output

KEYS = {
    "depth": "folder of the depth maps",
    "model": "name of the model",
    "views": "views with depth",
    "done_before": "views that were done by an earlier run",
    "advice": "what is wrong with views that have hardly any depth",
    "cpu_s": "CPU seconds of this run",
    "wall_s": "seconds of this run",
}


def match(**options: Any) -> int:
    """Match, write, say what is wrong."""
    from triscope.shape import stages

    with progress() as report:
        found = stages.depth(
            options["scene"],
            options["output"],
            built(options),
            sources=options["sources"],
            number_of_planes=options["planes"],
            second=options["depth_line"] or "interval",
            progress=report,
        )
    for line in found["advice"]:
        note(line)
    if options["as_json"]:
        emit({"depth": options["output"], "model": options["model"], **found}, KEYS)
    else:
        people().print(
            f"[bold]{options['output']}[/]: depth of {found['views']} views in "
            f"{found['wall_s']:.1f} s ({found['done_before']} done before)"
        )
    return DONE


command = click.Command(
    "depth",
    callback=match,
    params=[
        click.Argument(["scene"], type=FOLDER),
        output("depth"),
        *model_options(),
        depth_line(),
        json_flag(),
    ],
    help="Depth and confidence of each view of SCENE as PFM, with the reasons where there is none.",
    no_args_is_help=True,
)
