"""Writing a check folder from a check, and where its files come from. No torch."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from triscope import __version__
from triscope.errors import CheckError
from triscope.kernel.runtime.card import CARD, Card, Version, read_card, sha256, write_card
from triscope.kernel.runtime.check import Check, Origin
from triscope.kernel.runtime.folder import alone, copy_files, finish_swap, replacing, versions
from triscope.kernel.runtime.opening import open_engines
from triscope.kernel.runtime.regression import copy_regression, inherit_regression, must_catch
from triscope.kernel.runtime.seen import SEEN


class Opened:
    """The files of a check that lie in a folder already."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, folder: Path, check: Check) -> Card:
        """Bring them into another folder, all but the card and the list of images."""
        copy_files(self.folder, folder, but=lambda name: name in (CARD, SEEN))
        return check.card


def files_of(check: Check) -> Origin:
    """Where the files of a check come from; raises CheckError where it has none."""
    if check.origin is not None:
        return check.origin
    if check.folder is None:
        raise CheckError(f"{check.label} has no files to save: fit it, or open it from a folder.")
    return Opened(check.folder)


def save(
    check: Check, folder: str | Path | None = None, *, why: str = "", verify: bool = True
) -> Path:
    """Write the check into a folder as its next version; afterwards the check is that folder.

    Without ``folder`` it is the one that the check came from. Written aside and swapped in whole:
    on any error, disk full included, the version that was there stays. The regression set of the
    version that is replaced goes on, and unless ``verify`` is off, all of it must be caught.

    Raises CheckError, RegressionFailed, TriscopeError.
    """
    target = Path(folder) if folder is not None else check.folder
    if target is None:
        raise CheckError(f"{check.label} was never saved: say where, save('checks/NAME').")
    origin = files_of(check)
    if target.parent.is_dir():
        with alone(target.parent):
            finish_swap(target)
    inherit_regression(check, target)
    if verify:
        must_catch(check, target)
    with replacing(target) as fresh:
        _must_be_current(check, target)
        card = origin.write(fresh, check)
        copy_regression(check.seen, [target, *([check.folder] if check.folder else [])], fresh)
        check.seen.write(fresh)
        card = card.with_(version=next_version(check.card.version, target, why), code=__version__)
        card = card.with_(files=hashes(fresh))
        write_card(card, fresh)
    adopt(check, target)
    return target


def _must_be_current(check: Check, target: Path) -> None:
    """Raise CheckError where the folder was changed since this check was opened from it."""
    if check.folder is None or check.folder.absolute() != target.absolute():
        return
    found = read_card(target).version.number
    if found != check.card.version.number:
        raise CheckError(
            f"{target} was changed meanwhile: version {found} is in force, and this change is to "
            f"version {check.card.version.number}. Open it again and repeat the change."
        )


def adopt(check: Check, folder: Path) -> None:
    """Make the check the one of this folder, which was just written."""
    check.card = read_card(folder)
    check.engines = open_engines(folder, check.card)
    check.folder, check.origin = folder, None


def next_version(current: Version, target: Path, why: str) -> Version:
    """The version that follows what is in the folder; in a new place the version stays."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    if not (target / CARD).is_file():
        return Version(current.number, current.parent, why or current.why, current.created or now)
    before = read_card(target).version.number
    number = 1 + max([before, *versions(target)])
    return Version(number, before, why or current.why, now)


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a folder but the card."""
    paths = sorted(path for path in folder.iterdir() if path.is_file() and path.name != CARD)
    return {path.name: sha256(path) for path in paths}
