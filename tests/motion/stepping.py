"""A procedure of three steps, and labels written as letters."""

from __future__ import annotations

from triscope.motion.steps.procedure import Procedure, Step

ABC = Procedure("abc", (Step("a", max_s=3), Step("b", ("a",), min_s=0.4), Step("c", ("b",))))


def spelled(text: str) -> list[str]:
    """``..aab`` as labels a frame; a dot is idle."""
    return ["idle" if sign == "." else sign for sign in text]
