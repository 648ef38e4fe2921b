"""Options that say how thresholds are chosen; shared by ``fit`` and ``calibrate``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import click

from triscope.cli._options import option

MEASURE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(px|mm2|mm²|mm)?")


class Measure(click.ParamType[tuple[float, str]]):
    """A size with its unit: ``20px``, ``0.4mm``, ``1.5mm2``; a bare number is in pixels."""

    name = "size"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, str]:
        """The number and its unit, px or mm."""
        found = MEASURE.fullmatch(str(value).strip())
        if found is None:
            self.fail(f"{value!r} is no size: expected 20px, 0.4mm or (areas) 1.5mm2", param, ctx)
        return float(found[1]), (found[2] or "px")[:2]


def threshold_options() -> list[click.Option]:
    """Fresh options, in the order in which help shows them."""
    share = click.FloatRange(0, 1, min_open=True, max_open=True)
    some, cost = click.FloatRange(0, 1, max_open=True), click.FloatRange(0)
    promise = (
        "Promise: at most this share of good parts fails. Without it, the lowest that the good "
        "parts at hand allow."
    )
    return [
        option("--false-reject", "SHARE", promise, type=share),
        option("--confidence", "SHARE", "Confidence of the promise. [default: 0.95]", type=share),
        option("--review", "SHARE", "Good parts that may go to review besides.", type=some),
        option("--cost-escape", "COST", "By cost: of a missed defect, in any unit.", type=cost),
        option("--cost-reject", "COST", "By cost: of a rejected good part.", type=cost),
        option("--cost-review", "COST", "By cost: of a look by a person.", type=cost),
        option("--prevalence", "SHARE", "By cost: share of defective parts.", type=share),
        option("--min-area", "SIZE", "Least region that matters: 20px, 1mm2.", type=Measure()),
        option("--min-length", "SIZE", "Its least length: 5px, 0.4mm.", type=Measure()),
        option("--min-width", "SIZE", "Its least width: 2px, 0.1mm.", type=Measure()),
    ]


def wishes(options: Mapping[str, Any], mm_per_px: float | None) -> dict[str, Any]:
    """The arguments of ``Check.calibrate`` that these options mean; empty if none was given."""
    names = ("false_reject", "confidence", "review", "cost_escape", "cost_reject", "cost_review")
    asked: dict[str, Any] = {
        name: options[name] for name in (*names, "prevalence") if options[name] is not None
    }
    sizes = {name: options[f"min_{name}"] for name in ("area", "length", "width")}
    if any(sizes.values()):
        from triscope.kernel.calibrate import RegionSize

        asked["size"] = RegionSize(
            **{f"{name}_px": _pixels(name, size, mm_per_px) for name, size in sizes.items() if size}
        )
    return asked


def _pixels(name: str, size: tuple[float, str], mm_per_px: float | None) -> float:
    value, unit = size
    if unit == "px":
        return value
    if not mm_per_px:
        raise click.UsageError(
            f"--min-{name} {value:g}mm needs the size of a pixel, such as: --mm-per-px 0.05"
        )
    return value / mm_per_px ** (2 if name == "area" else 1)
