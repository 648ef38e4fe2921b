"""The worst misses, cut out of their captures: defects that were not found, and false alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from triscope.kernel.report.page import Section, common_folder, section

Rectangle = tuple[float, float, float, float]  # x, y, width, height


@dataclass(frozen=True)
class Miss:
    """One piece of a capture; rectangles are in its pixels, the first ``own`` is what it is about.

    ``kind`` is ``missed`` or ``alarm``; ``text`` says what was expected and what came.
    """

    kind: str
    text: str
    capture: str
    picture: str  # JPEG in base64
    size: tuple[float, float]  # width, height in pixels of the capture
    own: Rectangle
    found: Sequence[Rectangle] = ()
    truth: Sequence[Rectangle] = ()


def misses(items: Sequence[Miss], missed: int, alarms: int, truths: int, rule: str) -> Section:
    """The pieces, with how many defects were missed and how many findings were false in all."""
    folder = common_folder([item.capture for item in items])
    groups = [
        ("Not found", [item for item in items if item.kind == "missed"], missed),
        ("False alarms", [item for item in items if item.kind == "alarm"], alarms),
    ]
    return section(
        "misses", "Worst misses", groups=groups, missed=missed, alarms=alarms, truths=truths,
        rule=rule, folder=folder,
    )  # fmt: skip
