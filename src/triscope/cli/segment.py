"""Masks from clicks, boxes, heat maps and words; train, evaluate, convert, export."""

from __future__ import annotations

from pathlib import Path

from triscope.cli._folder import FolderVerbs

SECTION = "Domains"

command = FolderVerbs(
    "segment",
    Path(__file__).resolve().parent / "_segment",
    "triscope.cli._segment",
    help="Segment whatever a person points at: the Segment Anything project, whole.",
)
