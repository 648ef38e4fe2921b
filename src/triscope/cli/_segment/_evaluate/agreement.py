"""How far two people's masks of the same images agree."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from triscope.cli._output import emit, json_option, show_table
from triscope.cli._segment._shared import PATH

KEYS = {
    "pairs": "how many pairs of masks",
    "mean_iou": "mean overlap",
    "quartiles": "list of numbers: quartiles of the overlap",
    "above_90": "share of pairs above 0.9",
    "above_75": "share of pairs above 0.75",
    "mean_boundary_f": "mean F of the boundaries (tolerance 0.75 % of the diagonal)",
    "lost": "names that only one of the two folders has",
}


@click.command("agreement")
@click.argument("first", type=PATH)
@click.argument("second", type=PATH)
@json_option
def command(first: Path, second: Path, as_json: bool) -> None:
    """Compare the mask images of two folders by their names."""
    from triscope.segment.evaluate.agreement import agreement

    names = [{path.name for path in folder.glob("*.png")} for folder in (first, second)]
    lost = sorted(names[0] ^ names[1])
    found = agreement(_pairs(first, second, sorted(names[0] & names[1]))).to_dict()
    answer = {
        "pairs": found["pairs"], "mean_iou": found["mean IoU"],
        "quartiles": found["quartiles of IoU"], "above_90": found["share above 0.9"],
        "above_75": found["share above 0.75"], "mean_boundary_f": found["mean boundary F"],
        "lost": lost,
    }  # fmt: skip
    if as_json:
        emit(answer, KEYS)
        return
    cells = [
        (name, value if isinstance(value, int | list) else f"{value:.3f}")
        for name, value in found.items()
    ]
    show_table("", ("what", "value"), cells)
    for name in lost:
        click.echo(f"only in one folder: {name}", err=True)


def _pairs(first: Path, second: Path, names: list[str]) -> Iterator[Any]:
    from triscope.kernel.data import read_mask

    for name in names:
        yield read_mask(first / name), read_mask(second / name)
