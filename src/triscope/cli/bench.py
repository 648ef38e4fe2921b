"""Measure what networks cost: parameters, multiply-adds, time."""

from __future__ import annotations

import math
from typing import Any

import click

from triscope.cli._output import emit, json_option, show_table

SECTION = "Looking around"
KEYS = {
    "networks": "list of objects: name, input, parameters, giga (1e9 multiply-adds), "
    "weights_mb, milliseconds (CPU, one thread) and peak_mb (memory), null where it did not run",
}


@click.group("bench")
def command() -> None:
    """Measure what networks cost."""


@command.command("motion")
@click.argument("names", nargs=-1)
@click.option("--time", "timed", is_flag=True, help="Also run each one; the large take minutes.")
@click.option("--most-giga", type=float, help="Run only those up to so many 1e9 multiply-adds.")
@click.option("--rounds", default=3, show_default=True, help="Runs of each; the fastest is told.")
@click.option("--budget-ms", type=float, help="Only those that fit, the largest first.")
@json_option
def motion(
    names: tuple[str, ...],
    timed: bool,
    most_giga: float | None,
    rounds: int,
    budget_ms: float | None,
    as_json: bool,
) -> None:
    """Networks of video at their published inputs: all of them, or NAMES."""
    from triscope.motion.comparing import compare, within

    options: dict[str, Any] = {"timed": timed, "rounds": rounds, "most_giga": most_giga or math.inf}
    rows = within(budget_ms) if budget_ms else compare(names, **options)
    if as_json:
        plain = [
            {
                "name": row.name,
                "input": row.input,
                "parameters": row.parameters,
                "giga": round(row.giga, 4),
                "weights_mb": round(row.weights_mb, 1),
                "milliseconds": row.milliseconds,
                "peak_mb": row.peak_mb,
            }
            for row in rows
        ]
        emit({"networks": plain}, KEYS)
        return
    cells = [
        (
            row.name,
            row.input,
            f"{row.parameters:,}",
            f"{row.giga:.3f}",
            f"{row.weights_mb:.0f}",
            "–" if row.milliseconds is None else f"{row.milliseconds:.0f}",
            "–" if row.peak_mb is None else f"{row.peak_mb:.0f}",
        )
        for row in rows
    ]
    columns = ("network", "input", "parameters", "1e9 multiply-adds", "MB", "ms", "peak MB")
    show_table("", columns, cells, right=(2, 3, 4, 5, 6))
