"""Measure: prompts, clicks, edges, proposals, instances, agreement, groups, a datasheet."""

from __future__ import annotations

from pathlib import Path

from triscope.cli._folder import FolderVerbs

command = FolderVerbs(
    "evaluate",
    Path(__file__).resolve().parent / "_evaluate",
    "triscope.cli._segment._evaluate",
    help="Evaluations of Segment Anything (arXiv:2304.02643 section 7) on your own data.",
)
