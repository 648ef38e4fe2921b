"""Teach a check more good parts, make it forget some, or take a change back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from triscope.cli._exits import DONE, FAILED
from triscope.cli._options import add, option, workers
from triscope.cli._output import emit, json_option, note, people, show_table
from triscope.cli._progress import progress
from triscope.errors import needs_extra

SECTION = "Checks"
KEYS = {
    "check": "folder of the check",
    "version": "number of the version that is now in force",
    "parent": "number of the version that it came from, or null",
    "added": "how many images were learned, or defects taken into the regression set",
    "forgotten": "how many images were forgotten",
    "known": "how many of the images it knew already",
    "calibrated": "whether the thresholds were chosen again, by the same promise",
    "skipped": "list of {source, error}: images that could not be read",
    "missed": "names of defects that were not taken, since the check lets them pass",
    "versions": "list of {number, parent, why, created}: all that are kept, the one in force last",
    "images": "with --list: list of {id, name, source, role, label} that the check has met; else "
    "null",
}


@click.command("learn")
@click.argument("check", type=click.Path(path_type=Path))
@click.argument("data", required=False)
@click.option("--list", "listed", is_flag=True, help="List the images that the check has met.")
@json_option
def command(check: Path, data: str | None, listed: bool, as_json: bool, **options: Any) -> int:
    """Change CHECK in seconds, without fitting it again; each change is a new version.

    DATA: good parts to learn from; what is labelled as a defect goes to the regression set, which
    every later version must still catch. Without DATA and options the versions are listed.
    """
    from triscope.kernel.runtime.card import read_card

    asked = [
        name for name in ("forget", "regression", "rollback") if options[name] not in ((), None)
    ]
    if len(asked) + (data is not None) > 1:
        raise click.UsageError("one change at a time: DATA, --forget, --regression or --rollback.")
    if asked or data is not None:
        change = _change(check, data, options)
    else:
        read_card(check)
        change = None
    answer = _answer(check, change, listed)
    if as_json:
        emit(answer, KEYS)
    else:
        show(answer, change)
    return FAILED if answer["skipped"] or answer["missed"] else DONE


add(
    command,
    option("--forget", "IMAGE", "Forget it: number, name or path; repeatable.", multiple=True),
    option("--regression", "DATA", "Defects that every later version must catch."),
    option("--rollback", "VERSION", "Put it in force again; 0: the one before.", type=int),
    workers(),
)


def _change(check: Path, data: str | None, options: dict[str, Any]) -> Any:
    try:
        from triscope.kernel import learn
    except ModuleNotFoundError as error:
        raise needs_extra("learning", "train", error.name or "torch") from error
    with progress() as report:
        if options["rollback"] is not None:
            return learn.rollback(check, options["rollback"] or None)
        if options["regression"] is not None:
            return learn.regression_add(check, options["regression"])
        if options["forget"]:
            return learn.forget(check, options["forget"], progress=report)
        return learn.add(check, data, workers=options["workers"], progress=report)


def _answer(check: Path, change: Any, listed: bool) -> dict[str, Any]:
    from dataclasses import asdict

    kept = _versions(check)
    return {
        "check": check,
        "version": kept[-1].number,
        "parent": kept[-1].parent,
        **{name: getattr(change, name, 0) for name in ("added", "forgotten", "known")},
        "calibrated": getattr(change, "calibrated", False),
        "skipped": list(getattr(change, "skipped", ())),
        "missed": [found.source for found in getattr(change, "missed", ())],
        "versions": [asdict(version) for version in kept],
        "images": _images(check) if listed else None,
    }


def _versions(check: Path) -> list[Any]:
    """The versions that are kept, the one in force last; without torch."""
    from triscope.kernel.runtime.card import read_card
    from triscope.kernel.runtime.folder import HISTORY, versions

    kept = [read_card(check / HISTORY / str(number)).version for number in versions(check)]
    return [*kept, read_card(check).version]


def _images(check: Path) -> list[dict[str, Any]]:
    from triscope.kernel.runtime.seen import read_seen

    names = ("id", "name", "source", "role", "label")
    return [{name: getattr(image, name) for name in names} for image in read_seen(check).images]


def show(answer: dict[str, Any], change: Any) -> None:
    """The answer for people."""
    console = people()
    if change is not None:
        parts = [
            f"{answer[name]} {name}" for name in ("added", "forgotten", "known") if answer[name]
        ]
        console.print(f"version {answer['version']}: {', '.join(parts) or 'nothing changed'}")
        if answer["calibrated"]:
            console.print(change.check.card.zones.basis, markup=False)
    for skipped in answer["skipped"]:
        note(f"not read: {skipped.error}")
    for name in answer["missed"]:
        note(f"not taken, since the check lets it pass: {name}")
    if answer["images"] is not None:
        rows = [
            [image[name] for name in ("id", "role", "label", "name")] for image in answer["images"]
        ]
        show_table("", ("number", "role", "label", "image"), rows, right=[0])
    elif change is None:
        columns = ("number", "parent", "created", "why")
        rows = [
            ["–" if v[name] is None else v[name] for name in columns] for v in answer["versions"]
        ]
        show_table(f"versions of {answer['check']}", columns, rows, right=[0, 1])


def _text(value: Any) -> str:
    return "–" if value is None else str(value)
