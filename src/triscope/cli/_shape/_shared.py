"""Options that the stages of the shape domain share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triscope.cli._options import option

FOLDER = click.Path(path_type=Path)
MODELS = ("zncc_sweep", "rmvsnet", "mvsnet", "aa_rmvsnet", "patchmatchnet")


def output(default: str) -> click.Option:
    """Where the results go."""
    return option("-o --output", "FOLDER", "The results.", type=FOLDER, default=default)


def depth_line() -> click.Option:
    """What the second number of a camera's depth line means."""
    text = "What the second number of a depth line means, where a camera file has two."
    return option("--depth-line", "interval|max", text, type=click.Choice(["interval", "max"]))


def unit(of: str = "scan", flag: str = "--unit") -> click.Option:
    """The unit of lengths."""
    text = f"Unit of the {of}: mm, cm or m. It is never guessed."
    return option(flag, "UNIT", text, type=click.Choice(["mm", "cm", "m"]))


def ranges() -> list[click.Option]:
    """How deep to look."""
    return [
        option("--near", "X", "Nearest depth, in the unit of the poses.", type=float),
        option("--far", "X", "Farthest depth, in the unit of the poses.", type=float),
    ]


def model_options() -> list[click.Option]:
    """Which model matches, and how."""
    return [
        option("--model", "NAME", "The stereo model.", type=click.Choice(MODELS),
               default="zncc_sweep"),
        option("--weights", "FILE", "Its weights, where it has any.", default=""),
        option("--planes", "N", "Depth planes.", default=192),
        option("--sources", "N", "Views that each view is matched with.", default=4),
    ]  # fmt: skip


def built(options: dict[str, Any]) -> Any:
    """The stereo model that the options name."""
    from triscope.shape.stereo import stereo

    given = {"weights": options["weights"]} if options["weights"] else {}
    return stereo(options["model"], given)
