"""What must be done, in which order and how fast: read from a TOML file.

    name = "pump"
    [[step]]
    name = "base"
    min_s = 0.5
    max_s = 4.0
    [[step]]
    name = "gear"
    after = ["base"]
    repeats = 2

Without any ``after`` the steps follow one another as they are written; with some, those are the
only orders that count (a partial order).
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triscope.errors import BadSettings

BACKGROUND = "idle"


@dataclass(frozen=True)
class Step:
    """One thing to do."""

    name: str
    after: tuple[str, ...] = ()  # steps that must be done before
    min_s: float = 0.0  # shorter was not done properly
    max_s: float = math.inf  # longer took too long
    repeats: int = 1  # how often it is done
    optional: bool = False  # may be left out


@dataclass(frozen=True)
class Procedure:
    """The steps of one kind of part."""

    name: str
    steps: tuple[Step, ...]
    background: str = BACKGROUND
    total_s: float = math.inf  # the whole may take
    pause_s: float = math.inf  # live: nothing done for so long ends it, and the next may begin

    def __post_init__(self) -> None:
        """Raise BadSettings for names that contradict each other, and for cycles."""
        names = [step.name for step in self.steps]
        if not names:
            raise BadSettings(f"procedure {self.name!r} has no step: write at least one [[step]].")
        for name in names:
            if names.count(name) > 1:
                raise BadSettings(f"procedure {self.name!r} has two steps named {name!r}.")
        if self.background in names:
            raise BadSettings(
                f"step {self.background!r} is the name of doing nothing (background)."
            )
        for step in self.steps:
            for before in step.after:
                if before not in names:
                    raise BadSettings(
                        f"step {step.name!r} comes after {before!r}, which is no step. "
                        f"There are: {', '.join(names)}."
                    )
            if not (step.min_s >= 0 and step.max_s > step.min_s and step.repeats >= 1):
                raise BadSettings(
                    f"step {step.name!r}: expected 0 <= min_s < max_s and repeats >= 1, got "
                    f"{step.min_s:g}, {step.max_s:g} and {step.repeats}."
                )
        if cycle := self.cycle():
            raise BadSettings(
                f"procedure {self.name!r} goes round in a circle: {' after '.join(cycle)}. "
                "No order can be right; take one 'after' away."
            )

    def __getitem__(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)

    @property
    def labels(self) -> tuple[str, ...]:
        """The background and the steps, in their order."""
        return (self.background, *(step.name for step in self.steps))

    def cycle(self) -> list[str]:
        """Steps that wait for each other, the first one again at the end; empty: none."""
        table = {step.name: step.after for step in self.steps}
        done: set[str] = set()

        def visit(name: str, path: list[str]) -> list[str]:
            if name in path:
                return [*path[path.index(name) :], name]
            if name in done:
                return []
            for before in table[name]:
                if found := visit(before, [*path, name]):
                    return found
            done.add(name)
            return []

        return next((found for name in table if (found := visit(name, []))), [])

    def before(self, name: str) -> set[str]:
        """All steps that must be done before that one, directly or not."""
        found: set[str] = set()
        waiting = list(self[name].after)
        while waiting:
            step = waiting.pop()
            if step not in found:
                found.add(step)
                waiting += self[step].after
        return found


def read_procedure(path: str | Path) -> Procedure:
    """The procedure in a TOML file; raises BadSettings naming what is wrong in it."""
    path = Path(path)
    try:
        plain = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path} cannot be read as TOML: {error}.") from error
    entries = plain.get("step", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadSettings(f"{path}: expected the steps as tables [[step]].")
    steps = tuple(_step(entry, path) for entry in entries)
    if not any(step.after for step in steps):
        steps = tuple(
            Step(**{**_plain(step), "after": (steps[i - 1].name,) if i else ()})
            for i, step in enumerate(steps)
        )
    return Procedure(
        str(plain.get("name", path.stem)),
        steps,
        str(plain.get("background", BACKGROUND)),
        float(plain.get("total_s", math.inf)),
        float(plain.get("pause_s", math.inf)),
    )


def _step(entry: Mapping[str, Any], path: Path) -> Step:
    unknown = sorted(set(entry) - set(Step.__dataclass_fields__))
    if unknown:
        raise BadSettings(
            f"{path}: a step has no {unknown[0]!r}. There are: "
            f"{', '.join(Step.__dataclass_fields__)}."
        )
    if "name" not in entry:
        raise BadSettings(f"{path}: a step has no name.")
    values = dict(entry)
    values["after"] = tuple(values.get("after", ()))
    return Step(**values)


def _plain(step: Step) -> dict[str, Any]:
    return {name: getattr(step, name) for name in Step.__dataclass_fields__}
