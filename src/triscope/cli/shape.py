"""Photos to cameras, depth, surface and deviation from the reference."""

from __future__ import annotations

from pathlib import Path

from triscope.cli._folder import FolderVerbs

SECTION = "Domains"

command = FolderVerbs(
    "shape",
    Path(__file__).resolve().parent / "_shape",
    "triscope.cli._shape",
    help="Measure the shape of a part from calibrated photos; 'triscope reconstruct' runs all.",
)
