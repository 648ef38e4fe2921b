"""Words become masks with a CLIP from a local folder: train a head, ask."""

from __future__ import annotations

from pathlib import Path

from triscope.cli._folder import FolderVerbs

command = FolderVerbs(
    "text",
    Path(__file__).resolve().parent / "_text",
    "triscope.cli._segment._text",
    help="Words to masks (arXiv:2304.02643 section 7.5) with any CLIP that transformers saved.",
)
