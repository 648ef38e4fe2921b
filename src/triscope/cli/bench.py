"""Measure what networks cost: parameters, multiply-adds, time."""

from __future__ import annotations

import click

from triscope.cli._output import emit, json_option, show_table

SECTION = "Looking around"
KEYS = {
    "networks": "list of objects: name, input, parameters, giga (1e9 multiply-adds), "
    "milliseconds (CPU, one thread, or null), weights_mb",
}


@click.group("bench")
def command() -> None:
    """Measure what networks cost."""


@command.command("motion")
@click.argument("names", nargs=-1)
@click.option("--time", "timed", is_flag=True, help="Also run each one; the large take minutes.")
@click.option("--budget-ms", type=float, help="Only those that fit, the largest first.")
@json_option
def motion(names: tuple[str, ...], timed: bool, budget_ms: float | None, as_json: bool) -> None:
    """Networks of video at their published inputs: all of them, or NAMES."""
    from triscope.motion.comparing import compare, within

    rows = within(budget_ms) if budget_ms else compare(names, timed=timed)
    if as_json:
        plain = [
            {
                "name": row.name,
                "input": row.input,
                "parameters": row.parameters,
                "giga": round(row.giga, 4),
                "milliseconds": row.milliseconds,
                "weights_mb": round(row.weights_mb, 1),
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
        )
        for row in rows
    ]
    columns = ("network", "input", "parameters", "1e9 multiply-adds", "MB", "ms")
    show_table("", columns, cells, right=(2, 3, 4, 5))
