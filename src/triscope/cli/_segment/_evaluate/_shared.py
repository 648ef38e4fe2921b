"""How the commands that prompt for the masks of DATA begin and end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

import click

from triscope.cli._output import Keys, emit, show_table
from triscope.cli._segment._shared import cases_from, network_of, told_skipped

ABOUT = {
    "network": "the network that answered",
    "data": "the source",
    "skipped": "how many images could not be read",
}


class Evaluation:
    """One network, the cases of DATA, and what of it could not be read."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.network, self.values = network_of(values), values
        self.cases, self.skipped = cases_from(
            values["data"], values["layout"], values["limit"], values["parts"]
        )

    @cached_property
    def predictor(self) -> Any:
        """The network's predictor, made when first asked for."""
        return self.network.predictor()

    def all_of(self, rows: Iterable[Any]) -> list[Any]:
        """The rows; EmptyData where there are none."""
        from triscope.errors import EmptyData

        found = list(rows)
        if not found:
            raise EmptyData(f"{self.values['data']}: no image with a mask could be read.")
        return found

    def answer(self, found: dict[str, Any], keys: Keys, show: Callable[[], None]) -> None:
        """Answer for machines or for people; exit code 1 where images were skipped."""
        if self.values["as_json"]:
            about = {"network": self.network.label, "data": self.values["data"]}
            emit({**about, **found, "skipped": len(self.skipped)}, keys)
        else:
            show()
        if told_skipped(self.skipped):
            click.get_current_context().exit(1)


def show_ways(title: str, table: Mapping[str, Mapping[str, float]]) -> None:
    """Mean overlaps: a row for each name, a column for each way."""
    ways = next(iter(table.values()))
    cells = [(name, *(f"{iou:.3f}" for iou in row.values())) for name, row in table.items()]
    show_table(title, ("", *ways), cells, right=tuple(range(1, 1 + len(ways))))
