"""Options that the stages of the shape domain share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triscope.cli._options import option

FOLDER = click.Path(path_type=Path)
TARGETS = ("4x4_50", "4x4_250", "5x5_100", "6x6_250", "apriltag_36h11")
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


def photo_options() -> list[click.Option]:
    """What is known of photos without cameras."""
    return [
        option("--intrinsics", "FX FY CX CY", "The known camera, kept as it is.", nargs=4,
               type=float),
        option("--board", "COLUMNS ROWS MM", "Scale: a chessboard in view, inner corners and "
               "side of a square.", nargs=3, type=float),
        option("--distance", "VIEW VIEW MM", "Scale: how far two cameras are apart.",
               nargs=3, type=(str, str, float)),
        option("--features", "N", "Most features of a photo.", default=8192),
        option("--threads", "N", "Threads of COLMAP.", default=2),
    ]  # fmt: skip


def photos_of(options: dict[str, Any]) -> Any:
    """The options of ``photo_options`` as the library takes them."""
    from triscope.shape.cameras import Photos

    return Photos(
        options["intrinsics"],
        options["board"],
        options["distance"],
        options["features"],
        options["threads"],
    )


def comparing_options() -> list[click.Option]:
    """How a scan is compared with its reference."""
    return [
        option("--tolerance", "MM", "A place that is off by more is a finding.", default=0.2),
        option("--cell", "MM", "Side of the cells that are judged; by default 5 tolerances.",
               type=float),
        option("--within", "MM", "What lies farther off is not of the part; by default 15 "
               "tolerances.", type=float),
        option("--align", "HOW", "placed: trust the cameras; nearby: fit closely; shape: find the "
               "pose by the shape.", type=click.Choice(["placed", "nearby", "shape"]),
               default="nearby"),
        option("--markers", "FILE", "Align by markers instead: their places on the reference, "
               "'name x y z' a line.", type=FOLDER),
        option("--targets", "KIND", "Kind of the coded targets in the photos; a marker is named "
               "by its number.", type=click.Choice(TARGETS), default=TARGETS[0]),
    ]  # fmt: skip


def comparing(options: dict[str, Any]) -> Any:
    """The settings that the options name."""
    from triscope.shape.comparison import settings_for

    within = options["within"]
    if within is not None and within <= options["tolerance"]:
        raise click.UsageError(f"--within {within:g}: expected more than --tolerance.")
    how: Any = "markers" if options["markers"] else options["align"]
    return settings_for(options["tolerance"], how, cell=options["cell"], far=within)


def marked(options: dict[str, Any]) -> Any:
    """The markers that the options name, in the unit of the reference; None without."""
    from triscope.shape.markers import Known, read_places
    from triscope.shape.units import unit_of

    if not options["markers"]:
        return None
    unit = options["reference_unit"] or ""
    if options["reference"] is not None:
        unit = unit_of(options["reference"], unit)
    if not unit:
        raise click.UsageError(
            "say the unit of the places in --markers: --reference-unit mm, cm or m. It is never "
            "guessed."
        )
    return Known(read_places(options["markers"], unit), options["targets"])


def model_options() -> list[click.Option]:
    """Which model matches, and how."""
    return [
        option("--model", "NAME", "The stereo model.", type=click.Choice(MODELS),
               default="zncc_sweep"),
        option("--weights", "FILE", "Its weights, where it has any.", default=""),
        click.Option(["--refine"], is_flag=True, help="Refine the depth on the photos (rmvsnet); "
                     "with mvsnet: the weights hold its refinement."),
        option("--planes", "N", "Depth planes; by default as many as the scene names, or 192.",
               default=0),
        option("--sources", "N", "Views that each view is matched with.", default=4,
               type=click.IntRange(1)),
    ]  # fmt: skip


def built(options: dict[str, Any]) -> Any:
    """The stereo model that the options name."""
    from triscope.shape.stereo import stereo

    given = {name: options[name] for name in ("weights", "refine") if options[name]}
    if given and options["model"] == "zncc_sweep":
        raise click.UsageError(
            f"zncc_sweep learns nothing: --{next(iter(given))} is of no use to it."
        )
    return stereo(options["model"], given)
